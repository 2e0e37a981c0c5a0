#!lua
-- set.lua: an account's split or overdraft changes. Its entry is of type account again, with the whole definition, but without
-- balances: only the entry that made the account has those.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] split and [6] overdraft, nano, as the caller read them; [7] split and [8] overdraft
--       as they are to be; [9] detail JSON for the journal
-- Output: OK, seq     CHANGED, seq (somebody else was faster: read again)     LOST, seq

local function set()
  if not load_account() then return {'LOST', str(seq)} end
  if account.split == ARGV[7] and str(account.overdraft) == ARGV[8] then return {'OK', str(seq)} end
  if account.split ~= ARGV[5] or str(account.overdraft) ~= ARGV[6] then return {'CHANGED', str(seq)} end
  put(ACCOUNT, 'split', ARGV[7])
  put(ACCOUNT, 'overdraft', ARGV[8])
  note('account', {'a', ARGV[4], 's', ARGV[9]})
  commit()
  return {'OK', str(seq)}
end

return set
