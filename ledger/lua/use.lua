-- use.lua: keys. What a key may do, what it has used, and its rates; for reserve, settle, release, sweep, authenticate.
--
-- KEYS[7] keys, hash of the account's keys, fields by the key's suffix s (its id is <account>.<s>):
--   "s"      definition, tab-separated: SHA-256 of the secret, expires (ms, 0 never), models, endpoints, networks
--            ("<lo>-<hi>" in hex of 16 bytes; lists are space-separated, '' allows all), then the limits, 0 for none: spend total,
--            daily, monthly (nano), tokens, rpm, tpm, parallel, and 1 if receipts go into the body
--   "s:j"    the definition as JSON, for people       "s:x"  seq of its revocation
--   "s:s"    spend, nano         "s:ds" "s:ms"  spend of day "s:d" and month "s:m"         "s:sh"  spend held
--   "s:t"    tokens              "s:th"         tokens held      "s:n"  requests charged   "s:p"   requests in flight, without tasks
--   "s:rb" "s:tb"                rate buckets of requests and of tokens: "<level> <ms>"
-- A bucket holds limit * 60000 at most and gains `limit` a millisecond; one request or token costs 60000: all whole numbers.

local UNIT_OF_RATE = 60000
local LEAST_LEVEL = -2^52 -- a bucket never falls so low that its numbers were not exact

-- key_fields are the fields of a key by its suffix: definition, revocation, counters.
local key_fields = memo(function(s)
  return {s, s .. ':x', s .. ':s', s .. ':d', s .. ':ds', s .. ':m', s .. ':ms', s .. ':sh', s .. ':t', s .. ':th', s .. ':n', s .. ':p',
    s .. ':rb', s .. ':tb'}
end)

-- read_terms parses a definition without the hash: what the key may do. Many keys have the same terms.
local read_terms = memo(function(definition)
  local t = {}
  t.expires, t.models, t.endpoints, t.networks, t.total, t.daily, t.monthly, t.tokens, t.rpm, t.tpm, t.parallel, t.receipt =
    match(definition, '^' .. rep('([^\t]*)\t', 11) .. '([^\t]*)$')
  t.spend_text, t.rpm_text, t.tpm_text = t.total .. '\t' .. t.daily .. '\t' .. t.monthly .. '\t', t.rpm .. '\t', t.tpm .. '\t'
  for _, name in ipairs({'expires', 'total', 'daily', 'monthly', 'tokens', 'rpm', 'tpm', 'parallel'}) do
    t[name] = amount(t[name])
    t.wide = t.wide or type(t[name]) == 'string'
  end
  t.spends = t.total ~= 0 or t.daily ~= 0 or t.monthly ~= 0
  if not t.spends and t.rpm == 0 and t.tpm == 0 then t.standing = rep('0\t', 11) .. t.receipt end
  return t
end)

-- month_of returns the month (since year 0) of a day (since 1970), after Hinnant.
local month_of = memo(function(day)
  local z = day + 719468 -- days since 0000-03-01
  local era = floor(z / 146097)
  local of_era = z - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local from_march = floor((5 * of_year + 2) / 153)
  local month = from_march < 10 and from_march + 3 or from_march - 9
  if month <= 2 then year = year + 1 end
  return (year + era * 400) * 12 + month - 1
end)

-- calendar returns the local day (since 1970) and month at `now`, by the zone's offset in seconds.
local function calendar(offset)
  local day = floor((now / 1000 + tonumber(offset)) / 86400)
  return day, month_of(day)
end

local function counter(value) return value and amount(value) or 0 end

-- level is what a bucket holds now; nobody asks for one without a limit. One that was written by a clock which has been set
-- back since is full: it would gain nothing until the clock is there again.
local function level(stored, limit)
  if limit == 0 then return 0 end
  local full = limit * UNIT_OF_RATE
  local had, at = match(stored or '', '^(%-?%d+) (%d+)$')
  if not had or tonumber(at) > now + 60000 then return full end
  return min(full, tonumber(had) + max(0, now - tonumber(at)) * limit)
end

-- bucket writes a level down.
local function bucket(value) return str(value) .. ' ' .. str(now) end

-- load_key takes a key of the account in hand, by its suffix, with the counters of today and this month, or without an offset of
-- the day and month that it spent in last; false when there is none.
local function load_key(suffix, offset)
  if not account then return false end
  key = account.keys[suffix]
  if key then return true end
  local fields = key_fields(suffix)
  local v = call('HMGET', KEYRING, unpack(fields))
  if not v[1] then return false end
  local d, m = counter(v[4]), counter(v[6])
  local day, month = d, m
  if offset then day, month = calendar(offset) end
  local tab = find(v[1], '\t', 1, true)
  local terms = read_terms(sub(v[1], tab + 1))
  wide = wide or terms.wide
  key = {ring = KEYRING, suffix = suffix, fields = fields, hash = sub(v[1], 1, tab - 1), terms = terms, revoked = v[2],
    s = counter(v[3]), d = day, ds = d == day and counter(v[5]) or 0, m = month, ms = m == month and counter(v[7]) or 0,
    sh = counter(v[8]), t = counter(v[9]), th = counter(v[10]), n = counter(v[11]), p = counter(v[12]),
    rb = level(v[13], terms.rpm), tb = level(v[14], terms.tpm), held = false, counted = false}
  key.rb_was, key.tb_was = key.rb, key.tb
  account.keys[suffix], account.key_order[#account.key_order + 1] = key, key
  return true
end

-- put_key writes what has changed: what is held, what is counted, and the buckets.
local function put_key(of)
  local f = of.fields
  if of.counted then
    put_list(of.ring, {f[8], str(of.sh), f[10], str(of.th), f[12], str(of.p), f[3], str(of.s), f[4], str(of.d), f[5], str(of.ds),
      f[6], str(of.m), f[7], str(of.ms), f[9], str(of.t), f[11], str(of.n)})
  elseif of.held then
    put_list(of.ring, {f[8], str(of.sh), f[10], str(of.th), f[12], str(of.p)})
  end
  if of.rb ~= of.rb_was then put(of.ring, f[13], bucket(of.rb)) end
  if of.tb ~= of.tb_was then put(of.ring, f[14], bucket(of.tb)) end
  of.held, of.counted, of.rb_was, of.tb_was = false, false, of.rb, of.tb
end

-- listed tells whether a space-separated list of patterns allows a name; '' allows all.
local function listed(patterns, name)
  if patterns == '' then return true end
  for pattern in gmatch(patterns, '%S+') do
    if matches(pattern, name) then return true end
  end
  return false
end

local function network_allowed(client)
  if key.terms.networks == '' then return true end
  for low, high in gmatch(key.terms.networks, '(%x+)-(%x+)') do
    if low <= client and client <= high then return true end -- who has no address, '', is below all
  end
  return false
end

-- refuse_holder returns reason and limit when this credential may not come in at all: unknown, revoked or expired key,
-- suspended account, other network. Needs load_account and load_key to have been tried.
local function refuse_holder(hash, client)
  if not account then return 'key_invalid', 'account' end
  if not key or key.hash ~= hash then return 'key_invalid', 'key' end
  if key.revoked then return 'key_revoked', 'key' end
  if key.terms.expires ~= 0 and key.terms.expires <= now then return 'key_expired', 'key.expires' end
  if account.status ~= 'active' then return 'account_suspended', 'account' end
  if not network_allowed(client) then return 'network_not_allowed', 'key.networks' end
end

-- spend_limit adds one of the key's spend limits to list: {limit name, what is left with holds counted, and without}.
local function spend_limit(list, name, allowed, used)
  if allowed == 0 then return end
  list[#list + 1] = {name, total(allowed, negate(used), negate(key.sh)), total(allowed, negate(used))}
end

-- spend_left lists the key's spend limits.
local function spend_left()
  local terms = key.terms
  if not terms.spends then return NONE end
  local list = {}
  spend_limit(list, 'key.spend_total', terms.total, key.s)
  spend_limit(list, 'key.spend_daily', terms.daily, key.ds)
  spend_limit(list, 'key.spend_monthly', terms.monthly, key.ms)
  return list
end

-- key_holds counts a hold in; key_returns counts it out again. key_lands counts its request out alone: the hold stays.
local function key_holds(cash, tokens)
  key.sh, key.th, key.p, key.held = add(key.sh, cash), add(key.th, tokens), add(key.p, 1), true
end

local function key_returns(cash, tokens, landed)
  key.sh, key.th, key.p, key.held = add(key.sh, -cash), add(key.th, -tokens), landed and key.p or add(key.p, -1), true
end

local function key_lands() key.p, key.held = add(key.p, -1), true end

-- key_gains gives tokens back to a key's token bucket, or takes more of it; it never holds more than its limit.
local function key_gains(tokens)
  local tpm = key.terms.tpm
  if tpm == 0 or tokens == 0 then return end
  key.tb = max(LEAST_LEVEL, min(tpm * UNIT_OF_RATE, key.tb + tokens * UNIT_OF_RATE))
end

-- key_charges counts a charge. What a token bucket gave at the reserve is corrected to what was used.
local function key_charges(cash, tokens, tokens_reserved)
  key.s, key.ds, key.ms = add(key.s, cash), add(key.ds, cash), add(key.ms, cash)
  key.t, key.n, key.counted = add(key.t, tokens), add(key.n, 1), true
  key_gains(tokens_reserved - tokens)
end

-- key_refunds takes cash off the spend, of the charge's day and month too if no later ones have begun.
local function key_refunds(cash, day, month)
  key.s, key.counted = add(key.s, -cash), true
  if tonumber(day) == key.d then key.ds = add(key.ds, -cash) end
  if tonumber(month) == key.m then key.ms = add(key.ms, -cash) end
end

-- key_uncharges takes a charge of that day and month back, or all that is left of one.
local function key_uncharges(cash, tokens, day, month)
  key_refunds(cash, day, month)
  key.t, key.n = add(key.t, -tokens), add(key.n, -1)
end

-- key_corrects makes a charge of that day and month, and its tokens, more (or less) than it was.
local function key_corrects(cash, tokens, day, month)
  key_refunds(negate(cash), day, month)
  key.t = add(key.t, tokens)
end

-- key_standing is the key's part of the standing: limits and use of spend, levels of the buckets, receipt. Where there is
-- no limit nobody asks for the use.
local function key_standing()
  if not key then return '0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0' end
  local terms, spend = key.terms, '0\t0\t0\t0\t0\t0\t0\t'
  if terms.standing then return terms.standing end -- the same for all calls
  if terms.spends then
    spend = terms.spend_text .. str(key.s) .. '\t' .. str(key.ds) .. '\t' .. str(key.ms) .. '\t' .. str(key.sh) .. '\t'
  end
  return spend .. terms.rpm_text .. str(key.rb) .. '\t' .. terms.tpm_text .. str(key.tb) .. '\t' .. terms.receipt
end
