#!lua flags=no-writes
-- authenticate.lua: who holds this credential, for the key holder's own routes. The same checks as admission, no hold.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] key suffix; [5] SHA-256 of the key; [6] client address as in reserve.lua; [7] the zone's offset, s
-- Output: OK, seq, standing     NO, seq, reason, limit

local function authenticate()
  load_account()
  load_key(ARGV[4], ARGV[7])
  local reason, limit = refuse_holder(ARGV[5], ARGV[6])
  if reason then return {'NO', str(seq), reason, limit} end
  return {'OK', str(seq), standing({}, key_standing())}
end

return authenticate
