#!lua
-- revoke.lua: a pack is withdrawn. What is free goes at once; what is held stays until its request ends, and what comes back
-- then is withdrawn too (expel in account.lua).
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] pack id; [6] reason
-- Output: OK | SAME, seq, entry seq, entry fields …     LOST, seq

local function revoke()
  local id = ARGV[5]
  local v = call('HMGET', PACKS, id .. ':b', id .. ':h', id .. ':x')
  if not v[1] then return {'LOST', str(seq)} end
  if v[3] then return {'SAME', str(seq), v[3], unpack(entry_at(v[3]) or {})} end
  local had = tonumber(v[1])
  local left = min(had, tonumber(v[2])) -- after a loss in Redis more may be held than there is
  local n = note('revoke', {'a', ARGV[4], 'g', id, 'q', str(left - had), 'v', ARGV[6], 'z', id .. '=' .. str(left)})
  put(PACKS, id .. ':b', str(left))
  put(PACKS, id .. ':x', str(n))
  commit()
  call('DEL', SCOPE)
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

return revoke
