#!lua flags=allow-oom
-- release.lua: a hold is given back; the call costs nothing.
--
-- Idea: the terminal marker is written even when there is no hold, so that a reserve that was delayed on its way cannot place
-- one afterwards. Tokens go back to the key's token bucket; the request stays counted in its request bucket. A call that the
-- sweeper had charged meanwhile is refunded: its proxy knows better.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and pay.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] the zone's offset, s; [7] life of a marker, ms
-- Output: OK, seq, standing     CONFLICT, seq, marker (it has been charged)     LOST, seq (no such account)

local owner, request, offset = ARGV[4], ARGV[5], ARGV[6]

local function release()
  local marker = call('HGET', MARKER, request)
  if marker and sub(marker, 1, 2) == 'c ' then return {'CONFLICT', str(seq), marker} end
  local text, abandon = call('HGET', HOLDS, request), marker and read_abandon(marker)
  local hold = text and read_hold(text)
  local suffix = abandon and abandon.key or ''
  if not in_hand(hold, suffix, offset) then return {'LOST', str(seq)} end

  local groups = {lines = {}}
  if hold then
    for unit in gmatch(hold.candidates, '([^=|]+)=') do groups[#groups + 1] = {unit = unit, before = {}, after = {}} end
    find_packs(groups, hold.candidates, hold.model)
    if key and key.tpm > 0 then
      key.tb = bucket(min(key.tpm * UNIT_OF_RATE, level(key.tb, key.tpm) + hold.tokens * UNIT_OF_RATE))
    end
  end
  if abandon then take_back(abandon, owner, request, 'released after it had been abandoned') end
  if hold or abandon then
    finish(owner)
    close_hold(owner, request)
  end
  if marker ~= 'r' then mark(request, 'r', ARGV[7]) end
  return {'OK', str(seq), standing(groups, key_standing())}
end

local away = enter()
if away then return away end
return release()
