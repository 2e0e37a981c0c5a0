#!lua
-- grant.lua: a pack for an account. Its id is p<n>, counting up within the account.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] refs, see ref.lua; [11] expiry, see expire.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] quantity; [6] definition without the time of creation: unit, priority, expires (ms, 0
--       never), order (a or b), models (space-separated), quantity, ref, tab-separated; [7] reference; [8] the same if people gave
--       it, else ''; [9] digest of the content; [10] ttl of the reference, ms, 0 for ever; [11] detail JSON for the journal
-- Output: OK | SAME, seq, entry seq, entry fields …     CONFLICT, seq, value     LOST, seq

local function grant()
  local before = booked_before(ARGV[7], ARGV[9])
  if before then return before end
  if not load_account() then return {'LOST', str(seq)} end
  local number = str(account.granted + 1)
  local id = 'p' .. number
  put(ACCOUNT, 'packs', number)
  put(PACKS, id, long(ARGV[6] .. '\t' .. str(now) .. '\t'))
  put(PACKS, id .. ':b', ARGV[5])
  put(PACKS, id .. ':h', '0')
  local n = note('grant', {'a', ARGV[4], 'g', id, 'q', ARGV[5], 'e', ARGV[8], 's', ARGV[11], 'z', id .. '=' .. ARGV[5],
    'd', ARGV[9], 'i', ARGV[8] == '' and ARGV[7] or ''})
  commit()
  local expires = match(ARGV[6], '^%S+\t%-?%d+\t(%d+)')
  if expires ~= '0' then call('ZADD', KEYS[11], expires, ARGV[4] .. ' ' .. id) end
  call('DEL', SCOPE)
  remember(ARGV[7], n, ARGV[9], ARGV[10])
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

return grant
