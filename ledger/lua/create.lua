#!lua
-- create.lua: a new account.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] accounts, set of the shard's account ids
-- ARGV: [1..3] see lib.lua; [4] account; [5] split; [6] overdraft, nano; [7] detail JSON for the journal
-- Output: OK, seq     SAME, seq (it is there with these options)     CONFLICT, seq (with others)

local function create()
  if load_account() then
    local same = account.split == ARGV[5] and str(account.overdraft) == ARGV[6]
    return {same and 'SAME' or 'CONFLICT', str(seq)}
  end
  local fields = {'status', 'active', 'split', ARGV[5], 'overdraft', ARGV[6], 'recharge', '0', 'bonus', '0', 'held', '0',
    'packs', '0', 'created', str(now)}
  for i = 1, #fields, 2 do put(ACCOUNT, fields[i], fields[i + 1]) end
  note('account', {'a', ARGV[4], 's', ARGV[7], 'z', 'r=0,b=0'})
  commit()
  call('SADD', KEYS[10], ARGV[4])
  return {'OK', str(seq)}
end

return create
