#!lua flags=allow-oom
-- key_revoke.lua: a key ends, at once and for good. Requests in flight settle all the same.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] suffix
-- Output: OK, seq     LOST, seq

local function revoke()
  local v = call('HMGET', KEYRING, ARGV[5], ARGV[5] .. ':x')
  if not v[1] then return {'LOST', str(seq)} end
  if not v[2] then
    local n = note('revoke', {'a', ARGV[4], 'k', ARGV[5]})
    put(KEYRING, ARGV[5] .. ':x', str(n))
    commit()
  end
  return {'OK', str(seq)}
end

return revoke
