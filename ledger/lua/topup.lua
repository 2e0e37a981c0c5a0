#!lua
-- topup.lua: money into a wallet.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] refs, see ref.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] wallet: recharge or bonus; [6] amount, nano; [7] reference; [8] the same if people
--       gave it, else ''; [9] digest of the content; [10] ttl of the reference, ms, 0 for ever
-- Output: OK | SAME, seq, entry seq, entry fields …     CONFLICT, seq, value     LOST, seq     RANGE, seq (balance beyond ±9e18)

local function topup()
  local before = booked_before(ARGV[7], ARGV[9])
  if before then return before end
  if not load_account() then return {'LOST', str(seq)} end
  local balance = add(account[ARGV[5]], amount(ARGV[6]))
  if beyond(balance) then return {'RANGE', str(seq)} end
  put(ACCOUNT, ARGV[5], str(balance))
  local n = note('topup', {'a', ARGV[4], 'w', ARGV[5], 'n', ARGV[6], 'e', ARGV[8], 'z', sub(ARGV[5], 1, 1) .. '=' .. str(balance),
    'd', ARGV[9], 'i', ARGV[8] == '' and ARGV[7] or ''})
  commit()
  remember(ARGV[7], n, ARGV[9], ARGV[10])
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

return topup
