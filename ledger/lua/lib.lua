-- lib.lua: what every script shares.
--
-- Idea: a script reads, computes everything in locals, and writes at the very end through
-- commit(), journal first: a script error does not roll back what was written before it,
-- so nothing that can fail stands behind the first write.
--
-- A trip is one call of a script, or several of the data plane's that came at the same time (library.lua). The calls of a
-- trip go through their scripts one after the other, as they would alone. But what one has read, the next finds in hand, and
-- what they change is written once, at the end: of one account's calls, most of the work is the same. So whoever refuses
-- must not have changed anything in hand.
--
-- A script is a file that ends in `return main`, where main returns the reply. In Redis all of them are functions of one
-- library, which is compiled once and stays in the server's memory: what is outside of main is made once and not at each
-- call, and a local that a call leaves set, the next call finds. So begin() clears what belongs to one call.
--
-- KEYS of every script (all in the slot of one shard, tag {tg<n>}):
--   [1] meta      hash: format, shards, currency, id (the ledger's identity), seq (the journal's head); with an archive also
--                 archive (its identity), archived (all up to this seq is there), epoch (how often the shard was recovered),
--                 recovered (when, ms), fork (why archiving has stopped)
--   [2] journal   stream with dense ids <seq>-0
-- ARGV of every script:
--   [1] the ledger's identity   [2] "<epoch> <seq>", the highest the caller has seen here   [3] clock offset, ms (0 but in tests)
-- and, where it is about an account, [4] the account, and where about a request, [5] its id.
--
-- Units: money is nano (1e-9), quantities are whole units, times are ms since 1970, days and months are numbers.
-- Numbers: a Lua number is a double, exact to 2^53. An amount in hand is a number if it is below that, and else its decimal
-- string (balances go to 9e18): amount() reads one, add() adds two, str() prints one. A number becomes text by str() only:
-- tostring and .. would print 1e14 as 1e+14.
--
-- Output of every script: an array of strings whose first is the outcome and whose second is the shard's seq.
--   AWAY, 0, why: this shard is not what the caller knows: no meta, another ledger's, or gone back in time.
--   EPOCH, seq, epoch: the shard has been recovered since the caller looked; seq may be below what it has seen.

local MAX = 9007199254740991 -- 2^53 - 1
local MEMO_LIMIT = 100       -- texts of which one memo keeps what they mean: more would cost Lua's collector more than it spares

-- What Lua and Redis offer. A library does not see it while it is being loaded: wake() names it before the first call.
local floor, ceil, min, max, format, match, gmatch, gsub, find, rep, sub, concat, sort, call
local tonumber, type, unpack, pairs, ipairs

local function wake()
  floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
  format, match, gmatch, gsub = string.format, string.match, string.gmatch, string.gsub
  find, rep, sub, concat, sort, call = string.find, string.rep, string.sub, table.concat, table.sort, redis.call
  tonumber, type, unpack, pairs, ipairs = _G.tonumber, _G.type, _G.unpack, _G.pairs, _G.ipairs
end

local NONE = {} -- an empty list; nobody adds to it

-- The trip in hand: set by set_out() and enter().
local works, work_order         -- what is to be written, by META, and in the order in which the shards came up
local now                       -- Redis's clock
local wide                      -- whether an amount is text: then sums must look at what they add
local found                     -- what has been looked up ahead, by key and field: see look()

-- The call in hand: set by begin() and enter(), and by the load_… functions of the other parts.
local KEYS, ARGV, META, JOURNAL, DUE, ACCOUNT, PACKS, SCOPE, KEYRING, HOLDS, MARKER
local owner, request
local work, seq                 -- of its shard: see enter(), and the journal's head
local account, key              -- see pay.lua, use.lua
local packs, pack_order         -- see pay.lua

-- set_out begins a trip.
local function set_out()
  works, work_order, now, wide, found = {}, {}, nil, false, NONE
end

-- begin takes a call in hand. Its keys stand behind the first `from` of keys.
local function begin(keys, from, argv)
  KEYS, ARGV, owner, request = keys, argv, argv[4], argv[5]
  META, JOURNAL, DUE, ACCOUNT, PACKS, SCOPE, KEYRING, HOLDS, MARKER = unpack(keys, from + 1, from + 9)
  account, key, packs, pack_order = nil, nil, NONE, NONE
end

-- memo keeps what make(text) returned: of functions that depend on nothing but that text.
local function memo(make)
  local known, count = {}, 0
  return function(text)
    local value = known[text]
    if value == nil then
      if count == MEMO_LIMIT then known, count = {}, 0 end
      value = make(text)
      known[text], count = value, count + 1
    end
    return value
  end
end

-- long makes a text longer than 64 bytes, by blanks. Redis keeps up to some hundred short texts in a list, and looks through
-- that from its start: calls in flight would cost each other time.
local SPACES = '                                                                 '
local function long(text)
  if #text >= #SPACES then return text end
  return text .. sub(SPACES, #text + 1)
end

-- str prints an amount. %d is exact for every whole double below 2^63, and takes half the time of %.0f.
local function str(n)
  if wide and type(n) == 'string' then return n end
  return format('%d', n)
end

-- amount reads one.
local function amount(text)
  local n = tonumber(text)
  if n > MAX or n < -MAX then
    wide = true
    return text
  end
  return n
end

-- halves cuts a decimal string into hi and lo with value = hi * 1e9 + lo, both of the value's sign.
local function halves(s)
  local sign, digits = 1, s
  if sub(s, 1, 1) == '-' then sign, digits = -1, sub(s, 2) end
  if #digits <= 9 then return 0, sign * tonumber(digits) end
  return sign * tonumber(sub(digits, 1, -10)), sign * tonumber(sub(digits, -9))
end

-- long_add is add for what a double does not hold.
local function long_add(a, b)
  wide = true
  local hi_a, lo_a = halves(str(a))
  local hi_b, lo_b = halves(str(b))
  local hi, lo = hi_a + hi_b, lo_a + lo_b
  local carry = floor(lo / 1e9)
  hi, lo = hi + carry, lo - carry * 1e9 -- now 0 <= lo < 1e9
  if hi < 0 and lo > 0 then hi, lo = hi + 1, 1e9 - lo end -- both of one sign; lo is printed without its own
  if hi == 0 then return (hi_a + hi_b + carry < 0) and -lo or lo end
  return amount(str(hi) .. format('%09d', lo))
end

-- add is the exact sum of two amounts.
local function add(a, b)
  if not wide or type(a) == 'number' and type(b) == 'number' then
    local sum = a + b
    if sum <= MAX and sum >= -MAX then return sum end
  end
  return long_add(a, b)
end

-- negate turns the sign of an amount.
local function negate(x)
  if not wide or type(x) == 'number' then return -x end
  if sub(x, 1, 1) == '-' then return sub(x, 2) end
  return '-' .. x
end

-- clamp is an amount as a number, cut to ±(2^53-1). Compared with anything below 2^53 it decides as the exact value would.
local function clamp(x)
  if not wide or type(x) == 'number' then return x end
  return sub(x, 1, 1) == '-' and -MAX or MAX
end

-- total is clamp of the exact sum of up to four amounts.
local function total(a, b, c, d)
  if not wide then
    local one, other = a + b, (c or 0) + (d or 0)
    if one <= MAX and one >= -MAX and other <= MAX and other >= -MAX then return max(-MAX, min(MAX, one + other)) end
  end
  return clamp(add(add(a, b), add(c or 0, d or 0)))
end

-- limbs are the digits of a whole number >= 0 in base 1e7, lowest first.
local function limbs(x)
  local s, t = str(x), {}
  for last = #s, 1, -7 do t[#t + 1] = tonumber(sub(s, max(last - 6, 1), last)) end
  return t
end

-- multiply and plus work on limbs; every step stays below 2^53.
local function multiply(a, b)
  local t = {}
  for i = 1, #a + #b do t[i] = 0 end
  for i = 1, #a do
    local carry = 0
    for j = 1, #b do
      local v = t[i + j - 1] + a[i] * b[j] + carry
      carry = floor(v / 1e7)
      t[i + j - 1] = v - carry * 1e7
    end
    t[i + #b] = carry
  end
  return t
end

local function plus(a, b)
  local t, carry = {}, 0
  for i = 1, max(#a, #b) do
    local v = (a[i] or 0) + (b[i] or 0) + carry
    carry = floor(v / 1e7)
    t[i] = v - carry * 1e7
  end
  t[#t + 1] = carry
  return t
end

-- exceeds reports whether limbs a > limbs b.
local function exceeds(a, b)
  for i = max(#a, #b), 1, -1 do
    local x, y = a[i] or 0, b[i] or 0
    if x ~= y then return x > y end
  end
  return false
end

-- lost is what rounding took off a product of numbers below 2^53: a * b is exactly a*b + lost(a, b, a*b), after Dekker.
local function lost(a, b, product)
  local t = 134217729 * a -- 2^27 + 1 splits 53 bits in two
  local a_high = t - (t - a)
  t = 134217729 * b
  local b_high = t - (t - b)
  local a_low, b_low = a - a_high, b - b_high
  return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
end

-- muldiv is floor((a*b + c) / d), exact for operands of any size as long as the result is below 2^53. a, b, d: amounts >= 0,
-- d > 0; c: a number, 0 <= c <= d. The quotient of the doubles is a few units off at worst. The exact remainder says which
-- is right: of products below 2^53 at once; of most others by what their rounding lost; of the rest by limbs.
local function muldiv(a, b, d, c)
  local product, divisor = tonumber(a) * tonumber(b), tonumber(d)
  local q = floor((product + c) / divisor)
  local rest
  if product + c <= MAX then
    rest = product + c - q * divisor
  elseif q < 2^50 and divisor < 2^51 and clamp(a) < MAX and clamp(b) < MAX then
    local back = q * divisor
    rest = (product - back) + (lost(a, b, product) - lost(q, divisor, back)) + c
  end
  if rest then
    while rest < 0 do q, rest = q - 1, rest + divisor end
    while rest >= divisor do q, rest = q + 1, rest - divisor end
    return q
  end
  local exact, by = plus(multiply(limbs(a), limbs(b)), limbs(c)), limbs(d)
  while q > 0 and exceeds(multiply(limbs(q), by), exact) do q = q - 1 end
  while not exceeds(multiply(limbs(q + 1), by), exact) do q = q + 1 end
  return q
end

-- A work is what a trip is about to write in one shard: entries, what HSET puts into hashes, and what else is to be done. It
-- keeps the accounts in hand, too, see pay.lua.
local function empty(of)
  of.entries, of.puts, of.put_order, of.drops, of.comes, of.goes, of.lives = {}, {}, {}, {}, {}, {}, {}
end

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

-- deaths remembers until when the buckets of markers live, so that not every word has to say it.
local deaths, buckets = {}, 0

-- live lets a bucket live on for ttl, ms, or up to an hour more, after its last word.
local function live(bucket, ttl)
  local death = deaths[bucket]
  if death and death >= now + ttl then return end
  if not death then
    if buckets == MEMO_LIMIT then deaths, buckets = {}, 0 end
    buckets = buckets + 1
  end
  call('PEXPIRE', bucket, str(ttl + 3600000))
  deaths[bucket] = now + ttl + 3600000
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
  for i = 1, #order do call('HSET', order[i], unpack(of.puts[order[i]])) end
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

-- entry_at returns the fields of the journal entry with a seq, or nil when it has been trimmed.
local function entry_at(n)
  local id = n .. '-0'
  local found = call('XRANGE', JOURNAL, id, id)
  return found[1] and found[1][2]
end
