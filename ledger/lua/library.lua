-- library.lua: how the scripts become functions of one library in Redis (FUNCTION LOAD). Go puts it behind the shared parts.
--
-- Idea: the library is data: it is in the append-only file and goes to replicas. Its locals are not: they live in the memory of
-- one process. So `open` is a fence that the server itself enforces. One that has come up anew, or a replica that has been
-- promoted, has the library, and has it closed: nobody writes there by a script before somebody has verified it and opened it.

local open = false

-- closed is the answer while it is not.
local function closed() return redis.error_reply('NOSCRIPT this server has come up anew and has not been verified') end

local mains = {} -- what the scripts do, by their short names

-- script makes a function of a file's main.
local function script(name, short, flags, main)
  mains[short] = main
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open then return closed() end
    return alone(main, keys, argv)
  end}
end

-- calls_of goes through the calls of a trip: where each begins in argv, where its keys do, and its last argument.
local function calls_of(argv)
  local next_at = 3
  return function()
    local at = next_at
    if not argv[at] then return nil end
    next_at = at + 3 + tonumber(argv[at + 2])
    return at, tonumber(argv[at + 1]), next_at - 1
  end
end

-- requests_of lists the request ids of a trip by the keys in which each call looks them up: holds and marker.
local function requests_of(keys, argv)
  local wanted = {}
  for at, from in calls_of(argv) do
    for i = from + 8, from + 9 do
      local ids = wanted[keys[i]]
      if ids then
        ids[#ids + 1] = argv[at + 5]
      else
        wanted[keys[i]] = {argv[at + 5]}
      end
    end
  end
  return wanted
end

-- trip makes the function that takes several calls of the data plane's scripts at once, see trip.lua.
--
-- Idea: they succeed or fail as one. A script error, or a journal that refuses an entry, comes before anything is written, but for
-- shards before that; the caller then sends each call by itself, which is safe, as it always is to send one again.
--
-- KEYS: nine for each account and hour, see account.lua
-- ARGV: [1] the ledger's identity [2] clock offset, ms; then for each call: short name of the script, where its nine keys begin
--       (0 for the first), number of its own arguments, and these: position (ARGV[2] of the script), account, request id, …
-- Output: the replies, in this order
local function trip(name, flags)
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open then return closed() end
    set_out()
    look_ahead(requests_of(keys, argv))
    local replies, met = {}, {}
    for at, from, last in calls_of(argv) do
      local id = argv[at + 5]
      if met[id] then
        finish()
        found = NONE -- what it looks up must be what is there now
      end
      met[id] = true
      replies[#replies + 1] = turn(mains[argv[at]], keys, from, {argv[1], argv[at + 3], argv[2], unpack(argv, at + 4, last)})
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
