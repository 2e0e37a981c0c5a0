-- ref.lua: references that make an operator's booking idempotent, for topup, grant, refund and adjust.
--
-- KEYS[10] refs: the account's hash of references given by people, kept for ever; or, for references that Go made up against
-- a second run of the same call, the marker bucket of their hour, with a ttl.
-- A reference's value is "<seq> <digest of the content>".

-- booked_before answers for a reference that has been used: SAME with the entry, or CONFLICT; nil for a new one.
local function booked_before(ref, digest)
  local value = call('HGET', KEYS[10], ref)
  if not value then return nil end
  local n, content = match(value, '^(%d+) (%S+)$')
  if content ~= digest then return {'CONFLICT', str(seq), value} end
  return {'SAME', str(seq), n, unpack(entry_at(n) or {})}
end

-- remember writes a reference; only to be called beside commit(). ttl '0': for ever.
local function remember(ref, n, digest, ttl)
  call('HSET', KEYS[10], ref, str(n) .. ' ' .. digest)
  if ttl ~= '0' then live(KEYS[10], tonumber(ttl)) end -- the bucket has the markers of requests, too
end
