#!lua flags=no-writes
-- object.lua: what is remembered of what an account has made upstream, for a holder of its keys. Who names another's finds nothing.
--
-- Idea: a task has a hash of its own (park.lua), since it outlives its call. Any other object is written down beside how its call
-- ended (settle.lua), in the hour that this came in: no key more, no time to live of its own, and who asks looks through the
-- hours, the latest first.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] … the hashes in which it may be. Of a task: hash by account of
--       "<request id> <key suffix> <what the caller wants to know again>". Of another object: the buckets of markers, where
--       "<account> <object id>" has what the caller wants to know again
-- ARGV: [1..3] see lib.lua; [4] account; [5] unused; [6] key suffix; [7] SHA-256 of the key; [8] client address as in reserve.lua;
--       [9] the zone's offset, s; [10] the field in which it is
-- Output: OK, seq, standing, what is remembered, or ''     NO, seq, reason, limit

local function remembered(field)
  for i = 10, #KEYS do
    local text = call('HGET', KEYS[i], field)
    if text then return text end
  end
  return ''
end

local function object()
  load_account()
  load_key(ARGV[6], ARGV[9])
  local reason, limit = refuse_holder(ARGV[7], ARGV[8])
  if reason then return {'NO', str(seq), reason, limit} end
  return {'OK', str(seq), standing({}, key_standing()), remembered(ARGV[10])}
end

return object
