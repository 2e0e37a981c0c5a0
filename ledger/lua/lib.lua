-- lib.lua: what every script shares. Go puts it between a script's shebang and its body.
--
-- Idea: a script reads, computes everything in locals, and writes at the very end through
-- commit(), journal first: a script error does not roll back what was written before it,
-- so nothing that can fail stands behind the first write.
--
-- KEYS of every script (all in the slot of one shard, tag {tg<n>}):
--   [1] meta      hash: format, shards, currency, id (the ledger's identity), seq (the journal's head); with an archive also
--                 archive (its identity), archived (all up to this seq is there), epoch (how often the shard was recovered),
--                 recovered (when, ms), fork (why archiving has stopped)
--   [2] journal   stream with dense ids <seq>-0
-- ARGV of every script:
--   [1] the ledger's identity   [2] "<epoch> <seq>", the highest the caller has seen here   [3] clock offset, ms (0 but in tests)
--
-- Units: money is nano (1e-9), quantities are whole units, times are ms since 1970, days and months are numbers.
-- Numbers: a Lua number is a double, exact to 2^53. Balances go to 9e18, so they stay decimal strings and are
-- added by add(); one request's amounts and a pack's quantity are below 2^53 and may be numbers. A number becomes
-- text by str() only: tostring and .. would print 1e14 as 1e+14.
--
-- Output of every script: an array of strings whose first is the outcome and whose second is the shard's seq.
--   AWAY, 0, why: this shard is not what the caller knows: no meta, another ledger's, or gone back in time.
--   EPOCH, seq, epoch: the shard has been recovered since the caller looked; seq may be below what it has seen.

local MAX = 9007199254740991 -- 2^53 - 1
local floor, min, max, abs = math.floor, math.min, math.max, math.abs
local format, match, gmatch, sub = string.format, string.match, string.gmatch, string.sub
local call = redis.call

local META, JOURNAL = KEYS[1], KEYS[2]
local seq, now -- the journal's head and Redis's clock, set by enter()

-- str prints a whole number. Adding 0 turns -0 into 0.
local function str(n) return format('%.0f', n + 0) end

-- halves cuts a decimal string into hi and lo with value = hi * 1e9 + lo, both of the value's sign.
local function halves(s)
  local sign, digits = 1, s
  if sub(s, 1, 1) == '-' then sign, digits = -1, sub(s, 2) end
  if #digits <= 9 then return 0, sign * tonumber(digits) end
  return sign * tonumber(sub(digits, 1, -10)), sign * tonumber(sub(digits, -9))
end

-- add is the exact sum of two decimal strings, as a decimal string.
local function add(a, b)
  local na, nb = tonumber(a), tonumber(b)
  if abs(na) + abs(nb) <= MAX then return str(na + nb) end
  local hi_a, lo_a = halves(a)
  local hi_b, lo_b = halves(b)
  local hi, lo = hi_a + hi_b, lo_a + lo_b
  local carry = floor(lo / 1e9)
  hi, lo = hi + carry, lo - carry * 1e9 -- now 0 <= lo < 1e9
  if hi < 0 and lo > 0 then hi, lo = hi + 1, 1e9 - lo end -- both of one sign; lo is printed without its own
  if hi == 0 then
    return str((hi_a + hi_b + carry < 0) and -lo or lo)
  end
  return str(hi) .. format('%09.0f', lo)
end

-- negate turns the sign of a decimal string.
local function negate(s)
  if s == '0' then return s end
  if sub(s, 1, 1) == '-' then return sub(s, 2) end
  return '-' .. s
end

-- clamp reads a decimal string as a number, cut to ±(2^53-1). Compared with anything
-- below 2^53 it decides as the exact value would.
local function clamp(s)
  return max(-MAX, min(MAX, tonumber(s)))
end

-- total is clamp of the exact sum of up to four decimal strings.
local function total(a, b, c, d)
  return clamp(add(add(a, b), add(c or '0', d or '0')))
end

-- limbs are the digits of a whole number (>= 0, number or decimal string) in base 1e7, lowest first.
local function limbs(x)
  local s = type(x) == 'number' and str(x) or x
  local t = {}
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

-- muldiv is floor((a*b + c) / d), exact for operands of any size as long as the result is below 2^53.
-- a, b, d: numbers or decimal strings >= 0, d > 0; c: a number >= 0. The quotient of the doubles is a few units
-- off at worst; the products of limbs then say which is right.
local function muldiv(a, b, d, c)
  local d_number = tonumber(d)
  local product = tonumber(a) * tonumber(b) + c
  local q = floor(product / d_number)
  if product <= MAX then
    local rest = product - q * d_number
    if rest < 0 then return q - 1 end
    if rest >= d_number then return q + 1 end
    return q
  end
  local exact, divisor = plus(multiply(limbs(a), limbs(b)), limbs(c)), limbs(d)
  while q > 0 and exceeds(multiply(limbs(q), divisor), exact) do q = q - 1 end
  while not exceeds(multiply(limbs(q + 1), divisor), exact) do q = q + 1 end
  return q
end

-- enter checks that this shard is the ledger the caller knows, and reads seq and clock.
-- It returns nil, or the AWAY reply.
local function enter()
  local meta = call('HMGET', META, 'id', 'seq', 'epoch')
  if not meta[1] then return {'AWAY', '0', 'the shard is empty: its meta is gone'} end
  if meta[1] ~= ARGV[1] then return {'AWAY', '0', 'the shard belongs to another ledger'} end
  local epoch, seen = match(ARGV[2], '^(%d+) (%d+)$')
  local behind = tonumber(epoch) - tonumber(meta[3] or '0')
  if behind > 0 then return {'AWAY', '0', 'the shard has gone back in time, to before it was recovered'} end
  if not meta[2] or behind == 0 and tonumber(meta[2]) < tonumber(seen) then
    return {'AWAY', '0', 'the shard has gone back in time'}
  end
  if behind < 0 then return {'EPOCH', meta[2], meta[3]} end
  seq = tonumber(meta[2])
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000) + tonumber(ARGV[3])
  return nil
end

-- The unit of work: note() collects journal entries, put() fields of hashes; commit() writes them all.
local entries, puts, put_order = {}, {}, {}

-- note adds a journal entry of a type, with field-value pairs; returns its seq.
local function note(kind, fields)
  entries[#entries + 1] = {kind, fields}
  return seq + #entries
end

-- put sets a field of a hash at commit; the last word on a field counts.
local function put(key, field, value)
  local hash = puts[key]
  if not hash then
    hash = {}
    puts[key] = hash
    put_order[#put_order + 1] = key
  end
  hash[#hash + 1] = field
  hash[#hash + 1] = value
end

-- commit writes entries, then fields. The XADD goes first: it alone can be refused (an id that is
-- not beyond the stream's last, when meta and journal disagree), and then nothing has been written.
local function commit()
  local time = str(now)
  for i = 1, #entries do
    local id = str(seq + i) .. '-0'
    call('XADD', JOURNAL, id, 't', entries[i][1], 'm', time, unpack(entries[i][2]))
  end
  if #entries > 0 then
    seq = seq + #entries
    call('HSET', META, 'seq', str(seq))
  end
  for i = 1, #put_order do
    call('HSET', put_order[i], unpack(puts[put_order[i]]))
  end
end

-- entry_at returns the fields of the journal entry with a seq, or nil when it has been trimmed.
local function entry_at(n)
  local id = n .. '-0'
  local found = call('XRANGE', JOURNAL, id, id)
  return found[1] and found[1][2]
end
