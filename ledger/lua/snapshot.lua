#!lua flags=no-writes
-- snapshot.lua: whole accounts as they are at one moment; one for display, a page of them for an audit.
--
-- KEYS: [1] meta [2] journal, see lib.lua; [3] due; then five for each account: account, packs, keys, holds,
--       refunds (see refund.lua)
-- ARGV: [1..3] see lib.lua; [4] 1 for what is remembered of refunds too, which may be as long as the journal; [5] which API keys
--       too: '*' for all, of which there may be many, the suffix of one, or ''; [6..] the account ids, in the order of the keys
-- Output: OK, seq, now, then five arrays of field, value, … for each account; a hold's own key "<request id>" is followed
--         by the field "<request id>:d", its deadline or ''.

-- keys_of returns the fields of the API keys that are asked for.
local function keys_of(ring)
  local suffix = ARGV[5]
  if suffix == '*' then return call('HGETALL', ring) end
  if suffix == '' then return NONE end
  local fields, there = {suffix .. ':j', suffix .. ':c', unpack(key_fields(suffix))}, {}
  local values = call('HMGET', ring, unpack(fields))
  for i = 1, #fields do
    if values[i] then there[#there + 1], there[#there + 2] = fields[i], values[i] end
  end
  return there
end

local function snapshot()
  local reply = {'OK', str(seq), str(now)}
  for i = 4, #KEYS, 5 do
    local owner = ARGV[6 + (i - 4) / 5]
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = call('HGETALL', KEYS[i]), call('HGETALL', KEYS[i + 1]), keys_of(KEYS[i + 2])
    local holds, listed = call('HGETALL', KEYS[i + 3]), {}
    for h = 1, #holds, 2 do
      listed[#listed + 1], listed[#listed + 2] = holds[h], holds[h + 1]
      if sub(holds[h], -2) ~= ':c' then
        listed[#listed + 1], listed[#listed + 2] = holds[h] .. ':d', call('ZSCORE', KEYS[3], long(owner .. ' ' .. holds[h])) or ''
      end
    end
    reply[#reply + 1] = listed
    reply[#reply + 1] = ARGV[4] == '1' and call('HGETALL', KEYS[i + 4]) or NONE
  end
  return reply
end

return snapshot
