#!lua flags=allow-oom
-- sweep.lua: one abandoned hold is ended: its checkpoint is charged, the rest given back.
--
-- Idea: whether the deadline has passed is decided here, by Redis's clock, so sweepers may race each other, heartbeats and
-- settlements. The marker keeps who paid and which packs could, so that a late settlement can still put it right.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] charge the checkpoint: 1 or 0; [7] the zone's offset, s; [8] life of a marker, ms;
--       [9] 1: its proxy is known to be dead, end it before its deadline; else 0
-- Output: ABANDONED | RELEASED | SKIPPED (not due, or gone), seq

local function none(s) return s == '' and '-' or s end

local function sweep()
  local member = due_member()
  local deadline = call('ZSCORE', DUE, member)
  if not deadline or tonumber(deadline) > now and ARGV[9] ~= '1' then return {'SKIPPED', str(seq)} end
  local values = call('HMGET', HOLDS, request, request .. ':c')
  if not values[1] then
    call('ZREM', DUE, member)
    return {'SKIPPED', str(seq)}
  end
  local hold = read_hold(values[1])
  in_hand(hold, hold.key, ARGV[7])

  local answer, outcome = 'x ' .. none(hold.candidates), 'RELEASED'
  if values[2] and ARGV[6] == '1' then
    local tokens, lines, static = match(values[2], '^(%d+)\t([^\t]*)\t(.*)$')
    local groups = read_lines(lines)
    find_packs(groups, hold.candidates, hold.model)
    local entry_seq, fee, paid = charge('abandon', hold, static, groups, tonumber(tokens), '', 'c', none(hold.candidates))
    local day, month = '0', '0'
    if key then day, month = str(key.d), str(key.m) end
    answer = concat({'a', str(entry_seq), str(fee), tokens, day, month, none(hold.key), none(paid), none(hold.candidates)}, ' ')
    outcome = 'ABANDONED'
  elseif key then
    key_gains(hold.tokens)
  end
  expel()
  close_hold()
  mark(answer, tonumber(ARGV[8]))
  return {outcome, str(seq)}
end

return sweep
