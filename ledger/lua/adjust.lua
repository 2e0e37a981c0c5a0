#!lua
-- adjust.lua: a wallet is put right by hand, up or down.
--
-- Idea: what is taken must be there and free: no wallet falls below zero by it, and what is held stays covered, without the
-- overdraft. Upwards anything goes, also while the account is in debt.
--
-- KEYS: [1] meta … [9], see lib.lua and pay.lua; [10] refs, see ref.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] wallet: recharge or bonus; [6] amount, nano, signed; [7] reference; [8] the same if
--       people gave it, else ''; [9] digest of the content; [10] ttl of the reference, ms, 0 for ever; [11] reason
-- Output: OK | SAME, seq, entry seq, entry fields …     CONFLICT, seq, value     LOST, seq     RANGE, seq (balance beyond ±9e18)
--         LACK, seq, what can be taken, balance of the wallet, held

local WALLET_LIMIT = '9000000000000000000'
local wallet, amount = ARGV[5], ARGV[6]

local function negative(s) return sub(s, 1, 1) == '-' end

local function adjust()
  local before = booked_before(ARGV[7], ARGV[9])
  if before then return before end
  if not load_account() then return {'LOST', str(seq)} end
  local balance = add(account[wallet], amount)
  if total(balance, negate(WALLET_LIMIT)) > 0 then return {'RANGE', str(seq)} end
  if negative(amount) then
    local free = add(add(account.recharge, account.bonus), negate(account.held))
    if negative(balance) or negative(add(free, amount)) then
      local least = negative(add(free, negate(account[wallet]))) and free or account[wallet]
      return {'LACK', str(seq), negative(least) and '0' or least, account[wallet], account.held}
    end
  end
  put(ACCOUNT, wallet, balance)
  local n = note('adjust', {'a', ARGV[4], 'w', wallet, 'n', amount, 'v', ARGV[11], 'e', ARGV[8],
    'z', sub(wallet, 1, 1) .. '=' .. balance, 'd', ARGV[9], 'i', ARGV[8] == '' and ARGV[7] or ''})
  commit()
  remember(ARGV[7], n, ARGV[9], ARGV[10])
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

local away = enter()
if away then return away end
return adjust()
