-- use.lua: keys. What a key may do, what it has used, and its rates; for reserve, settle, release, sweep, authenticate.
--
-- KEYS[7] keys, hash of the account's keys, fields by the key's suffix s (its id is <account>.<s>):
--   "s"      definition, tab-separated: SHA-256 of the secret, expires (ms, 0 never), models, endpoints, networks
--            ("<lo>-<hi>" in hex of 16 bytes; lists are space-separated, '' allows all), then the limits, 0 for none: spend total,
--            daily, monthly (nano), tokens, rpm, tpm, parallel, and 1 if receipts go into the body
--   "s:j"    the definition as JSON, for people       "s:x"  seq of its revocation
--   "s:s"    spend, nano         "s:ds" "s:ms"  spend of day "s:d" and month "s:m"         "s:sh"  spend held
--   "s:t"    tokens              "s:th"         tokens held      "s:n"  requests charged   "s:p"   requests in flight
--   "s:rb" "s:tb"                rate buckets of requests and of tokens: "<level> <ms>"
-- A bucket holds limit * 60000 at most and gains `limit` a millisecond; one request or token costs 60000: all whole numbers.

local UNIT_OF_RATE = 60000

local key -- the key in hand: limits as numbers or decimal strings, counters as decimal strings; set by load_key()

local COUNTERS = {'s', 'd', 'ds', 'm', 'ms', 'sh', 't', 'th', 'n', 'p', 'rb', 'tb'}
local KEY_FORMAT = '^' .. string.rep('([^\t]*)\t', 12) .. '([^\t]*)$'

-- calendar returns the local day (since 1970) and month (since year 0) at `now`, by the zone's offset in seconds.
local function calendar(offset)
  local day = floor((now / 1000 + tonumber(offset)) / 86400)
  local z = day + 719468 -- days since 0000-03-01, after Hinnant
  local era = floor(z / 146097)
  local of_era = z - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local from_march = floor((5 * of_year + 2) / 153)
  local month = from_march < 10 and from_march + 3 or from_march - 9
  if month <= 2 then year = year + 1 end
  return day, (year + era * 400) * 12 + month - 1
end

-- load_key reads a key by its suffix, with the counters of today and this month; false when there is none.
local function load_key(suffix, offset)
  local fields = {suffix, suffix .. ':x'}
  for i = 1, #COUNTERS do fields[i + 2] = suffix .. ':' .. COUNTERS[i] end
  local v = call('HMGET', KEYRING, unpack(fields))
  if not v[1] then return false end
  key = {suffix = suffix, revoked = v[2]}
  key.hash, key.expires, key.models, key.endpoints, key.networks, key.total, key.daily, key.monthly, key.tokens,
    key.rpm, key.tpm, key.parallel, key.receipt = match(v[1], KEY_FORMAT)
  key.rpm, key.tpm = tonumber(key.rpm), tonumber(key.tpm)
  for i = 1, #COUNTERS do key[COUNTERS[i]] = v[i + 2] or '0' end
  local day, month = calendar(offset)
  day, month = str(day), str(month)
  if key.d ~= day then key.d, key.ds = day, '0' end
  if key.m ~= month then key.m, key.ms = month, '0' end
  return true
end

-- put_key writes the counters.
local function put_key()
  for i = 1, #COUNTERS do put(KEYRING, key.suffix .. ':' .. COUNTERS[i], key[COUNTERS[i]]) end
end

-- level is what a bucket holds now.
local function level(stored, limit)
  local full = limit * UNIT_OF_RATE
  local had, at = match(stored, '^(%-?%d+) (%d+)$')
  if not had then return full end
  return min(full, tonumber(had) + max(0, now - tonumber(at)) * limit)
end

-- bucket writes a level down. It never falls so low that its numbers were not exact.
local function bucket(value) return str(max(-MAX / 2, value)) .. ' ' .. str(now) end

-- listed tells whether a space-separated list of patterns allows a name; '' allows all.
local function listed(patterns, name)
  if patterns == '' then return true end
  for pattern in gmatch(patterns, '%S+') do
    if matches(pattern, name) then return true end
  end
  return false
end

local function network_allowed(client)
  if key.networks == '' then return true end
  for low, high in gmatch(key.networks, '(%x+)-(%x+)') do
    if client ~= '' and low <= client and client <= high then return true end
  end
  return false
end

-- refuse_holder returns reason and limit when this credential may not come in at all: unknown, revoked or expired key,
-- suspended account, other network. Needs load_account and load_key to have been tried.
local function refuse_holder(hash, client)
  if not account then return 'key_invalid', 'account' end
  if not key or key.hash ~= hash then return 'key_invalid', 'key' end
  if key.revoked then return 'key_revoked', 'key' end
  if key.expires ~= '0' and tonumber(key.expires) <= now then return 'key_expired', 'key.expires' end
  if account.status ~= 'active' then return 'account_suspended', 'account' end
  if not network_allowed(client) then return 'network_not_allowed', 'key.networks' end
end

-- spend_left yields the key's spend limits: {limit name, what is left with holds counted, and without}.
local function spend_left()
  local list = {}
  local function limit(name, allowed, used)
    if allowed ~= '0' then
      list[#list + 1] = {name, total(allowed, negate(used), negate(key.sh)), total(allowed, negate(used))}
    end
  end
  limit('key.spend_total', key.total, key.s)
  limit('key.spend_daily', key.daily, key.ds)
  limit('key.spend_monthly', key.monthly, key.ms)
  return list
end

-- key_holds counts a hold in; key_returns counts it out again.
local function key_holds(cash, tokens)
  key.sh, key.th, key.p = add(key.sh, str(cash)), add(key.th, str(tokens)), add(key.p, '1')
end

local function key_returns(cash, tokens)
  key.sh, key.th, key.p = add(key.sh, str(-cash)), add(key.th, str(-tokens)), add(key.p, '-1')
end

-- key_charges counts a charge. What a token bucket gave at the reserve is corrected to what was used.
local function key_charges(cash, tokens, tokens_reserved)
  key.s, key.ds, key.ms = add(key.s, str(cash)), add(key.ds, str(cash)), add(key.ms, str(cash))
  key.t, key.n = add(key.t, str(tokens)), add(key.n, '1')
  if key.tpm > 0 and tokens ~= tokens_reserved then
    local change = max(-MAX / 2, (tokens_reserved - tokens) * UNIT_OF_RATE)
    key.tb = bucket(min(key.tpm * UNIT_OF_RATE, level(key.tb, key.tpm) + change))
  end
end

-- key_refunds takes cash off the spend, of the charge's day and month too if they are not over.
local function key_refunds(cash, day, month)
  key.s = add(key.s, str(-cash))
  if day == key.d then key.ds = add(key.ds, str(-cash)) end
  if month == key.m then key.ms = add(key.ms, str(-cash)) end
end

-- key_uncharges takes a charge of that day and month back, or all that is left of one.
local function key_uncharges(cash, tokens, day, month)
  key_refunds(cash, day, month)
  key.t, key.n = add(key.t, str(-tokens)), add(key.n, '-1')
end

-- key_standing is the key's part of the standing: limits and use of spend, levels of the buckets, receipt.
local function key_standing()
  if not key then return '0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0' end
  return table.concat({key.total, key.daily, key.monthly, key.s, key.ds, key.ms, key.sh,
    str(key.rpm), key.rpm > 0 and str(level(key.rb, key.rpm)) or '0',
    str(key.tpm), key.tpm > 0 and str(level(key.tb, key.tpm)) or '0', key.receipt}, '\t')
end
