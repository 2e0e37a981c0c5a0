-- library.lua: how the scripts become functions of one library in Redis (FUNCTION LOAD). Go puts it behind the shared parts.
--
-- Idea: the library is data: it is in the append-only file and goes to replicas. Its locals are not: they live in the memory of
-- one process. So `open` is a fence that the server itself enforces. One that has come up anew, or a replica that has been
-- promoted, has the library, and has it closed: nobody writes there by a script before somebody has verified it and opened it.
-- It is opened for one ledger: others may be in other databases of the same server.

local open = {} -- by the ledger's identity

-- closed is the answer while it is not.
local function closed() return redis.error_reply('NOSCRIPT this server has come up anew and has not been verified') end

local mains = {} -- what the scripts do, by their short names

-- script makes a function of a file's main.
local function script(name, short, flags, main)
  mains[short] = main
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open[argv[1]] then return closed() end
    return alone(main, keys, argv)
  end}
end

local decode, encode -- MessagePack's; a library does not see them while it is being loaded

-- requests_of lists the request ids of a trip by the keys in which each call looks them up: holds and marker.
local function requests_of(keys, calls)
  local wanted = {}
  for i = 1, #calls do
    local from, id = calls[i][3] * 9, calls[i][5]
    for k = from + 8, from + 9 do
      local ids = wanted[keys[k]]
      if ids then
        ids[#ids + 1] = id
      else
        wanted[keys[k]] = {id}
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
-- ARGV: [1] the ledger's identity [2] clock offset, ms [3] the calls, a MessagePack array. Each is an array, too: ARGV of its script,
--       but [1] is the script's short name, and [3] which nine of KEYS are its keys, from 0
-- Output: the replies in this order, as a MessagePack array of arrays of strings
local function trip(name, flags)
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open[argv[1]] then return closed() end
    local calls = decode(argv[3])
    set_out()
    look_ahead(requests_of(keys, calls))
    local replies, met = {}, {}
    for i = 1, #calls do
      local own = calls[i]
      local main, from, id = mains[own[1]], own[3] * 9, own[5]
      if met[id] then
        finish()
        found = NONE -- what it looks up must be what is there now
      end
      met[id] = true
      own[1], own[3] = argv[1], argv[2]
      replies[i] = turn(main, keys, from, own)
    end
    finish()
    return encode(replies)
  end}
end

-- gate makes the functions that open the library for a ledger, and tell whether it is, and whether a call would be admitted here:
-- Redis itself refuses the last where it takes no new writes (full, read only, without replicas, its disk full), as it does a reserve.
-- commands are those of the scripts: a user may have the right to call these, and not to all that they do.
--
-- KEYS: [1] meta, of the last
-- ARGV: [1] the ledger's identity
local function gate(name_to_open, name_to_ask, name_to_try, commands)
  -- may tells whether the user of this call may give a command. Newer servers want it with as many arguments as it takes, which only they
  -- know; older ones look for keys among what they are given. So it is asked with one more as long as that is not taken.
  local function may(command, key)
    local line = {command}
    for i = 2, 6 do
      line[i] = key
      local taken, allowed = pcall(redis.acl_check_cmd, unpack(line))
      if taken then return allowed end
    end
    return redis.acl_check_cmd(command)
  end
  redis.register_function{function_name = name_to_open, flags = {'no-writes'}, callback = function(_, argv)
    wake()
    decode, encode = cmsgpack.unpack, cmsgpack.pack
    open[argv[1]] = true
    return 'OK'
  end}
  redis.register_function{function_name = name_to_ask, flags = {'no-writes'}, callback = function(_, argv)
    return open[argv[1]] and 1 or 0
  end}
  redis.register_function{function_name = name_to_try, callback = function(keys, argv)
    if not open[argv[1]] then return closed() end
    for i = 1, #commands do
      if not may(commands[i], keys[1]) then
        return redis.error_reply('NOPERM this user has no permissions to run the ' .. commands[i] .. ' command in a script')
      end
    end
    return 'OK'
  end}
end
