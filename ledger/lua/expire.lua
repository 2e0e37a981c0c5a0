#!lua flags=allow-oom
-- expire.lua: a pack's time has passed. What is free of it goes, with an entry; what requests in flight hold stays with them,
-- and what comes back from them goes then (expel in account.lua).
--
-- Idea: whether its time has passed is decided here, by Redis's clock, so sweepers may race each other and everything else.
--
-- KEYS: [1] meta … [9], see lib.lua and account.lua; [10] expiry, zset of the shard: "<account> <pack>" by expiry, ms. The grant adds
--       to it; one that is there without need does no harm.
-- ARGV: [1..3] see lib.lua; [4] account; [5] pack id
-- Output: EXPIRED, seq     SKIPPED, seq (not yet, or nothing free: another sweeper was here, or it is revoked, or there is no such pack)

local function expire()
  local id, EXPIRY = ARGV[5], KEYS[10]
  local member = owner .. ' ' .. id
  local deadline = call('ZSCORE', EXPIRY, member)
  if not deadline or tonumber(deadline) > now then return {'SKIPPED', str(seq)} end
  local free = 0
  if load_account() then
    returning({{id, 0}}, 'past its expiry')
    local pack = packs[id]
    if pack.over then free, pack.stays = pack.b - pack.h, 0 end
    expel()
    finish() -- before it leaves the list: what cannot be written is tried again
  end
  call('ZREM', EXPIRY, member)
  return {free > 0 and 'EXPIRED' or 'SKIPPED', str(seq)}
end

return expire
