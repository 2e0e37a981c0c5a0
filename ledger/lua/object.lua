#!lua flags=no-writes
-- object.lua: what is remembered of an object that an account has made upstream, such as a task, for a holder of its keys.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] object: hash by account of "<request id> <key suffix> <what the caller
--       wants to know again>". An id is one account's alone: another who names it finds nothing.
-- ARGV: [1..3] see lib.lua; [4] account; [5] unused; [6] key suffix; [7] SHA-256 of the key; [8] client address as in reserve.lua;
--       [9] the zone's offset, s
-- Output: OK, seq, standing, what is remembered, or ''     NO, seq, reason, limit

local function object()
  load_account()
  load_key(ARGV[6], ARGV[9])
  local reason, limit = refuse_holder(ARGV[7], ARGV[8])
  if reason then return {'NO', str(seq), reason, limit} end
  return {'OK', str(seq), standing({}, key_standing()), call('HGET', KEYS[10], owner) or ''}
end

return object
