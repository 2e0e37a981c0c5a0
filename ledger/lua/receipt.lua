#!lua flags=no-writes
-- receipt.lua: the charge of a request, by its marker.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] request id
-- Output: OK, seq, entry seq, entry fields … (none when it has been trimmed)     LOST, seq

local function receipt()
  local n = match(call('HGET', KEYS[9], ARGV[4]) or '', '^[cau] (%d+) ')
  if not n then return {'LOST', str(seq)} end
  return {'OK', str(seq), n, unpack(entry_at(n) or {})}
end

return receipt
