#!lua
-- adjust.lua: a wallet is put right by hand, up or down.
--
-- Idea: what is taken must be there and free: no wallet falls below zero by it, and what is held stays covered, without the
-- overdraft. Upwards anything goes, also while the account is in debt.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] refs, see ref.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] wallet: recharge or bonus; [6] amount, nano, signed; [7] reference; [8] the same if
--       people gave it, else ''; [9] digest of the content; [10] ttl of the reference, ms, 0 for ever; [11] reason
-- Output: OK | SAME, seq, entry seq, entry fields …     CONFLICT, seq, value     LOST, seq     RANGE, seq (balance beyond ±9e18)
--         LACK, seq, what can be taken, balance of the wallet, held

-- lacking is what can be taken of a wallet, if that is less than `change` (below zero) takes; else nil.
local function lacking(balance, change)
  local free = add(add(account.recharge, account.bonus), negate(account.held))
  if clamp(add(balance, change)) >= 0 and clamp(add(free, change)) >= 0 then return nil end
  local least = clamp(add(free, negate(balance))) < 0 and free or balance
  return clamp(least) < 0 and 0 or least
end

local function adjust()
  local before = booked_before(ARGV[7], ARGV[9])
  if before then return before end
  if not load_account() then return {'LOST', str(seq)} end
  local wallet, change = ARGV[5], amount(ARGV[6])
  local balance = add(account[wallet], change)
  if beyond(balance) then return {'RANGE', str(seq)} end
  local least = clamp(change) < 0 and lacking(account[wallet], change)
  if least then return {'LACK', str(seq), str(least), str(account[wallet]), str(account.held)} end
  put(ACCOUNT, wallet, str(balance))
  local n = note('adjust', {'a', owner, 'w', wallet, 'n', ARGV[6], 'v', ARGV[11], 'e', ARGV[8],
    'z', sub(wallet, 1, 1) .. '=' .. str(balance), 'd', ARGV[9], 'i', ARGV[8] == '' and ARGV[7] or ''})
  commit()
  remember(ARGV[7], n, ARGV[9], ARGV[10])
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

return adjust
