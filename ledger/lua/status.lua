#!lua flags=allow-oom
-- status.lua: an account is suspended or resumed. What is so already stays so, without an entry.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] new status: active or suspended; [6] reason
-- Output: OK, seq     LOST, seq

local function status()
  if not load_account() then return {'LOST', str(seq)} end
  if account.status ~= ARGV[5] then
    put(ACCOUNT, 'status', ARGV[5])
    note(ARGV[5] == 'active' and 'resume' or 'suspend', {'a', ARGV[4], 'v', ARGV[6]})
    commit()
  end
  return {'OK', str(seq)}
end

return status
