#!lua flags=allow-oom
-- watermark.lua: the archive has all of the journal up to a seq; what of that is older than it need be here goes.
--
-- Idea: the watermark only rises, and only what is at or below it is trimmed, in the same step, so that nothing can be
-- trimmed that is not archived. The last archived entry always stays: a recovery sees by it whether Redis and archive are
-- of one journal. Never by MAXLEN, which knows nothing of the archive.
--
-- KEYS: [1] meta [2] journal, see lib.lua
-- ARGV: [1..3] see lib.lua; [4] the archive's identity; [5] seq archived up to; [6] how long archived entries are kept, ms;
--       [7] how many may go at once
-- Output: OK, seq, watermark, time of the oldest entry that may go later, ms, or 0     OTHER, seq (recorded is another archive)

-- time_at is when the entry with a seq was booked.
local function time_at(n)
  local fields = entry_at(str(n)) or {}
  for i = 1, #fields, 2 do
    if fields[i] == 'm' then return tonumber(fields[i + 1]) end
  end
  return MAX
end

-- first_young finds, between the first entry and the last archived one, the first that is to be kept: times never fall by
-- more than a clock that is set back, and then a few go earlier or later.
local function first_young(first, last, before)
  local low, high = first, last
  while low < high do
    local middle = floor((low + high) / 2)
    if time_at(middle) <= before then low = middle + 1 else high = middle end
  end
  return low
end

local function watermark()
  local meta = call('HMGET', META, 'archive', 'archived')
  if meta[1] ~= ARGV[4] then return {'OTHER', str(seq)} end
  local archived = min(seq, max(tonumber(ARGV[5]), tonumber(meta[2] or '0')))
  if str(archived) ~= meta[2] then call('HSET', META, 'archived', str(archived)) end
  local oldest = call('XRANGE', JOURNAL, '-', '+', 'COUNT', '1')[1]
  if not oldest then return {'OK', str(seq), str(archived), '0'} end
  local first = tonumber(match(oldest[1], '^(%d+)%-0$'))
  if first >= archived then return {'OK', str(seq), str(archived), '0'} end
  local keep = min(first + tonumber(ARGV[7]), first_young(first, archived, now - tonumber(ARGV[6])))
  if keep > first then call('XTRIM', JOURNAL, 'MINID', str(keep) .. '-0') end
  return {'OK', str(seq), str(archived), keep < archived and str(time_at(keep)) or '0'}
end

return watermark
