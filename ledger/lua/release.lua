#!lua flags=allow-oom
-- release.lua: a hold is given back; the call costs nothing.
--
-- Idea: the terminal marker is written even when there is no hold, so that a reserve that was delayed on its way cannot place
-- one afterwards. Tokens go back to the key's token bucket; the request stays counted in its request bucket. A call that the
-- sweeper had charged meanwhile is refunded: its proxy knows better.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] the zone's offset, s; [7] life of a marker, ms
-- Output: OK, seq, standing     CONFLICT, seq, marker (it has been charged)     LOST, seq (no such account)

local function release()
  local marker = look(MARKER, request)
  if marker and sub(marker, 1, 2) == 'c ' then return {'CONFLICT', str(seq), marker} end
  local text, abandon = look(HOLDS, request), marker and read_abandon(marker)
  local hold = text and read_hold(text)
  if not in_hand(hold, abandon and abandon.key or '', ARGV[6]) then return {'LOST', str(seq)} end

  local groups = {lines = {}}
  if hold then
    for unit in gmatch(hold.candidates, '([^=|]+)=[^|]*') do groups[#groups + 1] = {unit = unit} end
    find_packs(groups, hold.candidates, hold.model)
    if key then key_gains(hold.tokens) end
  end
  if abandon then take_back(abandon, 'released after it had been abandoned') end
  if hold or abandon then expel() end
  if hold then close_hold() end
  if marker ~= 'r' then mark('r', tonumber(ARGV[7])) end
  return {'OK', str(seq), standing(groups, key_standing())}
end

return release
