-- library.lua: how the scripts become functions of one library in Redis (FUNCTION LOAD). Go puts it behind the shared parts.
--
-- Idea: the library is data: it is in the append-only file and goes to replicas. Its locals are not: they live in the memory of
-- one process. So `open` is a fence that the server itself enforces. One that has come up anew, or a replica that has been
-- promoted, has the library, and has it closed: nobody writes there by a script before somebody has verified it and opened it.

local open = false

-- closed is the answer while it is not.
local function closed() return redis.error_reply('NOSCRIPT this server has come up anew and has not been verified') end

-- turn is one call.
local function turn(main, keys, from, argv)
  begin(keys, from, argv)
  return enter() or main()
end

local mains = {} -- what the scripts do, by their short names

-- script makes a function of a file's main.
local function script(name, short, flags, main)
  mains[short] = main
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open then return closed() end
    set_out()
    local reply = turn(main, keys, 0, argv)
    finish()
    return reply
  end}
end

-- trip makes the function that takes several calls of the data plane's scripts at once, see lib.lua.
--
-- Idea: they succeed or fail as one. A script error, or a journal that refuses an entry, comes before anything is written, but for
-- shards before that; the caller then sends each call by itself, which is safe, as it always is to send one again.
--
-- KEYS: nine for each account and hour, see pay.lua
-- ARGV: for each call: short name of the script, which nine keys (0 for the first), number of its arguments, these
-- Output: the replies, in this order
local function trip(name, flags)
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open then return closed() end
    set_out()
    local replies, met, at = {}, {}, 1
    while argv[at] do
      local first, last = at + 3, at + 2 + tonumber(argv[at + 2])
      local id = argv[first + 4]
      if met[id] then finish() end -- what it looks up in Redis must be there
      met[id] = true
      replies[#replies + 1] = turn(mains[argv[at]], keys, 9 * tonumber(argv[at + 1]), {unpack(argv, first, last)})
      at = last + 1
    end
    finish()
    return replies
  end}
end

-- gate makes the functions that open the library, and tell whether it is.
local function gate(name_to_open, name_to_ask)
  redis.register_function{function_name = name_to_open, flags = {'no-writes'}, callback = function()
    wake()
    open = true
    return 'OK'
  end}
  redis.register_function{function_name = name_to_ask, flags = {'no-writes'}, callback = function() return open and 1 or 0 end}
end
