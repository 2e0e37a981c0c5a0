#!lua flags=no-writes
-- due.lua: which holds of the shard are past their deadline, by Redis's clock; the oldest first.
--
-- KEYS: [1] meta [2] journal, see lib.lua; [3] due
-- ARGV: [1..3] see lib.lua; [4] how many to return at most
-- Output: OK, seq, holds past their deadline, all holds, "<account> <request id>" …

local function due()
  local reply = {'OK', str(seq), str(call('ZCOUNT', KEYS[3], '-inf', str(now))), str(call('ZCARD', KEYS[3]))}
  for _, member in ipairs(call('ZRANGEBYSCORE', KEYS[3], '-inf', str(now), 'LIMIT', '0', ARGV[4])) do reply[#reply + 1] = member end
  return reply
end

return due
