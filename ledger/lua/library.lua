-- library.lua: how the scripts become functions of one library in Redis (FUNCTION LOAD). Go puts it behind the shared parts.
--
-- Idea: the library is data: it is in the append-only file and goes to replicas. Its locals are not: they live in the memory of
-- one process. So `open` is a fence that the server itself enforces. One that has come up anew, or a replica that has been
-- promoted, has the library, and has it closed: nobody writes there by a script before somebody has verified it and opened it.

local open = false

-- script makes a function of a file's main.
local function script(name, flags, main)
  redis.register_function{function_name = name, flags = flags, callback = function(keys, argv)
    if not open then return redis.error_reply('NOSCRIPT this server has come up anew and has not been verified') end
    begin(keys, argv)
    return enter() or main()
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
