#!lua flags=allow-oom
-- putback.lua: an entry that Redis has lost and the archive has is booked again, under its own id.
--
-- Idea: what an entry booked is worked out in Go, from the entry alone (putback.go), and comes as a list of changes; what
-- only Redis can know, the hold that the entry ended, is worked out here. The balances after must be those that the entry
-- says. All is read and computed before the first write, which is conditional on the journal's head being just before the
-- entry, so two may do this at once, and one that is interrupted is followed by the next.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua; [10] accounts; [11] refs; [12] refunds;
--       [13] expiry; [14] the bucket of a made-up reference
-- ARGV: [1] the ledger's identity; [2] epoch; [3] clock offset, ms, as for all scripts; [4] the entry's seq; [5] account; [6] request id whose hold it ended, or '';
--       [7] number of fields and values of the entry, and then these; then changes, four each: what, index of the key, field, value
--         set    field = value                    unset  field = value, if it is not there
--         add    field + value, exactly           is     after all of that, field must be value
--         roll   "<key>" "<today> <this month> <day> <month> <amount>": the key's spend of day and month; today and this month are
--                '-' if the entry starts no new day or month
--         join   a member of a set                remember "<time of death, ms> <value>" of a marker, if it would be alive
--         due    member of a sorted set, score    given  the marker "a <seq> …" of the request, of which "<seq> <cash> <left>"
-- Output: OK, seq     AWAY, 0, why     LATE, epoch     PAST, seq (the head is not just before)     DIFFERS, field, is, should be

local entry_seq, owner, request = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local values, order = {}, {} -- what fields are to become: values[key][field]

local function get(key, field)
  local there = values[key] and values[key][field]
  if there == nil then there = call('HGET', key, field) end
  return there
end

local function let(key, field, value)
  if not values[key] then
    values[key] = {}
    order[#order + 1] = key
  end
  values[key][field] = value
end

local function change(key, field, delta) let(key, field, str(add(amount(get(key, field) or '0'), amount(delta)))) end

-- end_hold gives the hold of the request back, if it is there.
local function end_hold()
  local text = request ~= '' and call('HGET', HOLDS, request)
  if not text then return end
  local hold = read_hold(text)
  change(ACCOUNT, 'held', str(-hold.cash))
  for _, part in ipairs(hold.packs) do change(PACKS, part[1] .. ':h', str(-part[2])) end
  change(KEYRING, hold.key .. ':sh', str(-hold.cash))
  change(KEYRING, hold.key .. ':th', str(-hold.tokens))
  if hold.task == '' then change(KEYRING, hold.key .. ':p', '-1') end
end

-- roll counts an amount into the key's spend of a day and month, where those are still the key's at the entry's time.
local function roll(suffix, text)
  local today, this_month, day, month, amount = match(text, '^(%S+) (%S+) (%-?%d+) (%-?%d+) (%-?%d+)$')
  local function one(name, sum, current, of)
    local last = get(KEYRING, suffix .. name) or '0'
    if current ~= '-' and current ~= last then
      let(KEYRING, suffix .. name, current)
      let(KEYRING, suffix .. sum, '0')
      last = current
    end
    if of == last then change(KEYRING, suffix .. sum, amount) end
  end
  one(':d', ':ds', today, day)
  one(':m', ':ms', this_month, month)
end

-- given follows a refund in the marker of an abandoned call, as refund.lua does.
local function given(of_request, text)
  local charge_seq, cash, left = match(text, '^(%d+) (%d+) (%S+)$')
  local n, fee, middle, candidates = match(get(MARKER, of_request) or '', '^a (%d+) (%d+) (%d+ %-?%d+ %-?%d+ %S+) %S+ (%S+)$')
  if n ~= charge_seq then return end
  if left == '-' then return let(MARKER, of_request, 'u ' .. n .. ' ' .. candidates) end
  let(MARKER, of_request, concat({'a', n, str(tonumber(fee) - tonumber(cash)), middle, left, candidates}, ' '))
end

local function work_out(from)
  local joins, expiries, dues = {}, {}, {}
  local clock = tonumber(call('TIME')[1]) * 1000 + tonumber(ARGV[3])
  for i = from, #ARGV, 4 do
    local what, key, field, value = ARGV[i], KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3]
    if what == 'set' then
      let(key, field, value)
    elseif what == 'unset' then
      if not get(key, field) then let(key, field, value) end
    elseif what == 'add' then
      change(key, field, value)
    elseif what == 'roll' then
      roll(field, value)
    elseif what == 'is' then
      local is = get(key, field) or '0'
      if is ~= value then return nil, {'DIFFERS', field, is, value} end
    elseif what == 'join' then
      joins[#joins + 1] = {key, value}
    elseif what == 'given' then
      given(field, value)
    elseif what == 'due' then
      dues[#dues + 1] = {key, field, value}
    elseif what == 'remember' then
      local death, answer = match(value, '^(%d+) (.*)$')
      if tonumber(death) > clock then
        let(key, field, answer)
        expiries[#expiries + 1] = {key, death}
      end
    end
  end
  return joins, expiries, dues
end

-- live_until lets a key live until a time, longer if it would anyway.
local function live_until(key, ms)
  if call('PTTL', key) < 0 then
    call('PEXPIREAT', key, ms)
  else
    call('PEXPIREAT', key, ms, 'GT')
  end
end

local function put_back()
  local count = tonumber(ARGV[7])
  end_hold()
  local joins, expiries, dues = work_out(8 + count)
  if not joins then return expiries end
  call('XADD', JOURNAL, ARGV[4] .. '-0', unpack(ARGV, 8, 7 + count))
  call('HSET', META, 'seq', ARGV[4])
  for _, key in ipairs(order) do
    for field, value in pairs(values[key]) do call('HSET', key, field, value) end
  end
  for _, j in ipairs(joins) do call('SADD', j[1], j[2]) end
  for _, d in ipairs(dues) do call('ZADD', d[1], d[3], d[2]) end
  for _, e in ipairs(expiries) do live_until(e[1], e[2]) end
  if request ~= '' then
    call('HDEL', HOLDS, request, request .. ':c')
    call('ZREM', DUE, long(owner .. ' ' .. request))
  end
  call('DEL', SCOPE)
  return {'OK', ARGV[4]}
end

local meta = call('HMGET', META, 'id', 'seq', 'epoch')
if not meta[1] or not meta[2] then return {'AWAY', '0', 'the shard is empty: its meta is gone'} end
if meta[1] ~= ARGV[1] then return {'AWAY', '0', 'the shard belongs to another ledger'} end
if meta[3] ~= ARGV[2] then return {'LATE', meta[3] or '0'} end
if tonumber(meta[2]) ~= entry_seq - 1 then return {'PAST', meta[2]} end
return put_back()
