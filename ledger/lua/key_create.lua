#!lua
-- key_create.lua: a new key of an account. Run twice it finds its own hash there.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] suffix; [6] definition, see use.lua; [7] the same as JSON; [8] SHA-256 of the secret;
--       [9] detail JSON for the journal
-- Output: OK, seq     TAKEN, seq (another key has this suffix)     LOST, seq

local function create()
  local there = call('HGET', KEYRING, ARGV[5])
  if there then return {sub(there, 1, #ARGV[8]) == ARGV[8] and 'OK' or 'TAKEN', str(seq)} end
  if not load_account() then return {'LOST', str(seq)} end
  put(KEYRING, ARGV[5], ARGV[6])
  put(KEYRING, ARGV[5] .. ':j', ARGV[7])
  put(KEYRING, ARGV[5] .. ':c', str(now))
  note('key', {'a', ARGV[4], 'k', ARGV[5], 's', ARGV[9]})
  commit()
  return {'OK', str(seq)}
end

return create
