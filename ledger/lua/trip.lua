-- trip.lua: what is read once and written at the end.
--
-- Idea: a script reads, computes everything in locals, and writes at the very end through
-- commit(), journal first: a script error does not roll back what was written before it,
-- so nothing that can fail stands behind the first write.
--
-- A trip is one call of a script, or several of the data plane's that came at the same time (library.lua). The calls of a
-- trip go through their scripts one after the other, as they would alone. But what one has read, the next finds in hand, and
-- what they change is written once, at the end: of one account's calls, most of the work is the same. So whoever refuses
-- must not have changed anything in hand.

local function empty(of)
  of.entries, of.puts, of.put_order, of.drops, of.comes, of.goes, of.lives = {}, {}, {}, {}, {}, {}, {}
end

-- work_of_shard begins a work: what a trip is about to write in one shard. It keeps the accounts in hand, too, see account.lua.
local function work_of_shard()
  local meta = call('HMGET', META, 'id', 'seq', 'epoch')
  local fresh = {id = meta[1], head = meta[2], epoch = meta[3], seq = tonumber(meta[2] or '0'), meta = META, journal = JOURNAL, due = DUE,
    accounts = {}, order = {}}
  empty(fresh)
  works[META], work_order[#work_order + 1] = fresh, fresh
  return fresh
end

-- strange says why the shard is not the ledger that the caller knows; nil, or the reply. told is "<epoch> <seq>".
local function strange(told)
  if not work.id then return {'AWAY', '0', 'the shard is empty: its meta is gone'} end
  if work.id ~= ARGV[1] then return {'AWAY', '0', 'the shard belongs to another ledger'} end
  local epoch, seen = match(told, '^(%d+) (%d+)$')
  local behind = tonumber(epoch) - tonumber(work.epoch or '0')
  if behind > 0 then return {'AWAY', '0', 'the shard has gone back in time, to before it was recovered'} end
  if not work.head or behind == 0 and tonumber(work.head) < tonumber(seen) then
    return {'AWAY', '0', 'the shard has gone back in time'}
  end
  if behind < 0 then return {'EPOCH', work.head, work.epoch} end
end

-- enter checks that this shard is the ledger the caller knows, and reads seq and clock.
-- It returns nil, or the AWAY reply.
local function enter()
  work = works[META] or work_of_shard()
  if work.told ~= ARGV[2] then -- most calls of a trip have been told the same
    local reply = strange(ARGV[2])
    if reply then return reply end
    work.told = ARGV[2]
  end
  seq = work.seq
  if not now then
    local time = call('TIME')
    now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000) + tonumber(ARGV[3])
  end
  return nil
end

-- note adds a journal entry of a type, with field-value pairs; returns its seq.
local function note(kind, fields)
  seq = seq + 1
  work.seq = seq
  local entries = work.entries
  entries[#entries + 1], entries[#entries + 2] = kind, fields
  return seq
end

-- put_list sets fields of a hash at commit, {field, value, …}; the list is put's to keep. The last word on a field counts.
local function put_list(key, list)
  local puts = work.puts
  local hash = puts[key]
  if hash then
    local n = #hash
    for i = 1, #list do hash[n + i] = list[i] end
  else
    puts[key], work.put_order[#work.put_order + 1] = list, key
  end
end

-- put sets one field.
local function put(key, field, value)
  local hash = work.puts[key]
  if not hash then return put_list(key, {field, value}) end
  local n = #hash
  hash[n + 1], hash[n + 2] = field, value
end

-- drop deletes two fields of a hash at commit, after what is put.
local function drop(key, one, other)
  local list = work.drops[key]
  if list then
    local n = #list
    list[n + 1], list[n + 2] = one, other
  else
    work.drops[key] = {one, other}
  end
end

-- comes_due puts a member into the list of what is due at commit; is_gone takes one out.
local function comes_due(deadline, member)
  local list = work.comes
  list[#list + 1], list[#list + 2] = deadline, member
end

local function is_gone(member) work.goes[#work.goes + 1] = member end

-- deaths remembers until when the buckets of markers live, by ledger, so that not every word has to say it.
local deaths, buckets = {}, 0

-- live lets a bucket live on for ttl, ms, or up to an hour more, after its last word, and after the hour that it is of: the
-- clock that made the ids in it may stand ahead.
local function live(bucket, ttl)
  local hour_ends = (tonumber(match(bucket, '(%d+)$')) + 1) * 3600000
  ttl = ttl + max(0, hour_ends - now)
  local mine = deaths[ARGV[1]]
  local death = mine and mine[bucket]
  if death and death >= now + ttl then return end
  if not death then
    if buckets == MEMO_LIMIT then deaths, buckets = {}, 0 end
    buckets = buckets + 1
    mine = deaths[ARGV[1]] or {}
    deaths[ARGV[1]] = mine
  end
  call('PEXPIRE', bucket, str(ttl + 3600000))
  mine[bucket] = now + ttl + 3600000
end

-- write does a shard's work. The XADD goes first: it alone can be refused (an id that is not beyond the
-- stream's last, when meta and journal disagree), and then nothing has been written in this shard.
local function write(of)
  local entries = of.entries
  if #entries > 0 then
    local time, id = str(now), of.seq - #entries / 2
    for i = 1, #entries, 2 do
      id = id + 1
      call('XADD', of.journal, str(id) .. '-0', 't', entries[i], 'm', time, unpack(entries[i + 1]))
    end
    call('HSET', of.meta, 'seq', str(of.seq))
  end
  local order = of.put_order
  for i = 1, #order do
    local list = of.puts[order[i]]
    for from = 1, #list, MOST_ARGS do call('HSET', order[i], unpack(list, from, min(from + MOST_ARGS - 1, #list))) end
  end
  for hash, fields in pairs(of.drops) do call('HDEL', hash, unpack(fields)) end
  if #of.comes > 0 then call('ZADD', of.due, unpack(of.comes)) end
  if #of.goes > 0 then call('ZREM', of.due, unpack(of.goes)) end
  for bucket, ttl in pairs(of.lives) do live(bucket, ttl) end
  empty(of)
end

-- commit writes what is to be written.
local function commit()
  for i = 1, #work_order do write(work_order[i]) end
end

-- look reads a field of a hash which the trip may have looked up for all of its calls; false when it is not there.
local function look(key, field)
  local there = found[key]
  if there and there[field] ~= nil then return there[field] end
  return call('HGET', key, field)
end

-- look_ahead does so: fields by key. A single one is as well read when it is its turn.
local function look_ahead(wanted)
  found = {}
  for key, fields in pairs(wanted) do
    if #fields > 1 then
      local values, there = call('HMGET', key, unpack(fields)), {}
      for i = 1, #fields do there[fields[i]] = values[i] end
      found[key] = there
    end
  end
end

-- look_at_all reads fields of a hash, however many.
local function look_at_all(key, fields)
  if #fields <= MOST_ARGS then return call('HMGET', key, unpack(fields)) end
  local values = {}
  for from = 1, #fields, MOST_ARGS do
    local some = call('HMGET', key, unpack(fields, from, min(from + MOST_ARGS - 1, #fields)))
    for i = 1, #some do values[from + i - 1] = some[i] end
  end
  return values
end

-- entry_at returns the fields of the journal entry with a seq, or nil when it has been trimmed.
local function entry_at(n)
  local id = n .. '-0'
  local entries = call('XRANGE', JOURNAL, id, id)
  return entries[1] and entries[1][2]
end

