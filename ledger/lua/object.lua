#!lua flags=no-writes
-- object.lua: what is remembered of what an account has made upstream, for a holder of its keys. Who names another's finds nothing.
--
-- Idea: a task has a hash of its own (park.lua), since it outlives its call. Any other object is written down beside how its call
-- ended (settle.lua), in the hour that this came in: no key more, no time to live of its own, and who asks looks through the
-- hours, the latest first. Who names many of which one is nowhere has not all of them looked for: that would take long.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] … the hashes in which it may be, by "<account> <object id>". Of a task:
--       a hash with "<request id> <key suffix> <what the caller wants to know again>". Of another object: the buckets of markers,
--       with what the caller wants to know again
-- ARGV: [1..3] see lib.lua; [4] account; [5] unused; [6] key suffix; [7] SHA-256 of the key; [8] client address as in reserve.lua;
--       [9] the zone's offset, s; [10] … the fields in which they are
-- Output: OK, seq, standing, then of each field what is remembered, or '' (if one is nowhere, maybe of others, too)     NO, seq, reason, limit

local AT_ONCE = 16

-- look_through adds to reply what is remembered of the fields from ARGV[first] to ARGV[last], each from the first hash that has
-- it; false: one is nowhere.
local function look_through(reply, first, last)
  local missing, places = {}, {}
  for i = first, last do missing[i - first + 1], places[i - first + 1] = ARGV[i], i - 6 end
  for k = 10, #KEYS do
    if #missing == 0 then break end
    local values, still, their = call('HMGET', KEYS[k], unpack(missing)), {}, {}
    for i = 1, #missing do
      if values[i] then
        reply[places[i]] = values[i]
      else
        still[#still + 1], their[#their + 1] = missing[i], places[i]
      end
    end
    missing, places = still, their
  end
  return #missing == 0
end

local function object()
  load_account()
  load_key(ARGV[6], ARGV[9])
  local reason, limit = refuse_holder(ARGV[7], ARGV[8])
  if reason then return {'NO', str(seq), reason, limit} end
  local reply = {'OK', str(seq), standing({}, key_standing())}
  for i = 10, #ARGV do reply[i - 6] = '' end
  for first = 10, #ARGV, AT_ONCE do
    if not look_through(reply, first, min(first + AT_ONCE - 1, #ARGV)) then break end
  end
  return reply
end

return object
