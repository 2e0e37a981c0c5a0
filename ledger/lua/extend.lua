#!lua flags=allow-oom
-- extend.lua: a heartbeat. The deadline moves to now + ttl, and what has been delivered so far is kept with the hold, to be
-- charged by the sweeper if the call never settles. A task's hold has both from elsewhere (park.lua): a heartbeat that comes after
-- that finds none.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] ttl, ms; [7] tokens; [8] lines; [9] static JSON
-- Output: OK, seq     LOST, seq (no such hold)

local function extend()
  local hold = look(HOLDS, request)
  if not hold or read_hold(hold).task ~= '' then return {'LOST', str(seq)} end
  put(HOLDS, request .. ':c', ARGV[7] .. '\t' .. ARGV[8] .. '\t' .. ARGV[9])
  comes_due(str(now + tonumber(ARGV[6])), due_member())
  return {'OK', str(seq)}
end

return extend
