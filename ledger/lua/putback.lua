#!lua flags=allow-oom
-- putback.lua: entries that Redis has lost and the archive has are booked again, under their own ids.
--
-- Idea: what an entry booked is worked out in Go, from the entry alone (putback.go), and comes as a list of changes; what
-- only Redis can know, the hold that the entry ended, is worked out here. The balances after must be those that the entry
-- says. All that the entries do is read and computed before the first write, which is conditional on the journal's head being just
-- before the first of them, so two may do this at once, and one that is interrupted is followed by the next.
--
-- KEYS: fourteen for each entry: [1] meta … [9] marker, see lib.lua and account.lua; [10] accounts; [11] refs; [12] refunds;
--       [13] expiry; [14] the bucket of a made-up reference
-- ARGV: [1] the ledger's identity; [2] epoch; [3] clock offset, ms, as for all scripts; then for each entry, in their order: its seq; account;
--       request id whose hold it ended, or ''; number of fields and values of the entry, and then these; number of its changes, and
--       then these, four words each: what, index of the key among the entry's, field, value
--         set    field = value                    unset  field = value, if it is not there
--         add    field + value, exactly           is     after all of that, field must be value
--         roll   "<key>" "<today> <this month> <day> <month> <amount>": the key's spend of day and month; today and this month are
--                '-' if the entry starts no new day or month
--         join   a member of a set                remember "<time of death, ms> <value>" of a marker, if it would be alive
--         due    member of a sorted set, score    given  the marker "a <seq> …" of the request, of which "<seq> <cash> <left>"
-- Output: OK, seq of the last     AWAY, 0, why     LATE, epoch     PAST, seq (the head is not just before the first)
--         DIFFERS, field, is, should be, seq of the entry that says so: then none of these has been put back

local KEYS_OF_ENTRY = 14
local clock = tonumber(call('TIME')[1]) * 1000 + tonumber(ARGV[3])

-- What is to be written beside what is in the work (trip.lua): what fields are to become, values[key][field]; and the rest in lists.
local values, order = {}, {}
local entries, joins, dues, lives, ended, scopes = {}, {}, {}, {}, {}, {}

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

-- end_hold gives the hold of a request back, if it is there: once, if several of the entries end it.
local function end_hold(account_of, of_request)
  if of_request == '' or ended[of_request] then return end
  ended[of_request] = true
  drop(HOLDS, of_request, of_request .. ':c')
  is_gone(long(account_of .. ' ' .. of_request))
  local text = call('HGET', HOLDS, of_request)
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

-- work_out does the changes of an entry, which stand in ARGV. Returns nil, or the answer that it differs.
local function work_out(entry_seq, keys_before, from, upto)
  for i = from, upto, 4 do
    local what, key, field, value = ARGV[i], KEYS[keys_before + tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3]
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
      if is ~= value then return {'DIFFERS', field, is, value, entry_seq} end
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
        lives[key] = max(lives[key] or 0, tonumber(death))
      end
    end
  end
end

-- live_until lets a key live until a time, longer if it would anyway.
local function live_until(key, ms)
  if call('PTTL', key) < 0 then
    call('PEXPIREAT', key, ms)
  else
    call('PEXPIREAT', key, ms, 'GT')
  end
end

-- read_entries takes all entries in hand. Returns nil, or the answer that one differs.
local function read_entries()
  local at = 4
  while ARGV[at] do
    local keys_before, entry_seq, fields = #entries * KEYS_OF_ENTRY, ARGV[at], tonumber(ARGV[at + 3])
    local changes = at + 4 + fields
    local last = changes + 4 * tonumber(ARGV[changes])
    begin(KEYS, keys_before, ARGV)
    entries[#entries + 1] = {seq = entry_seq, from = at + 4, upto = changes - 1}
    scopes[SCOPE] = true
    end_hold(ARGV[at + 1], ARGV[at + 2])
    local differs = work_out(entry_seq, keys_before, changes + 1, last)
    if differs then return differs end
    at = last + 1
  end
end

local function put_back()
  local differs = read_entries()
  if differs then return differs end
  for _, e in ipairs(entries) do call('XADD', JOURNAL, e.seq .. '-0', unpack(ARGV, e.from, e.upto)) end
  local head = entries[#entries].seq
  put(META, 'seq', head)
  for _, key in ipairs(order) do
    for field, value in pairs(values[key]) do put(key, field, value) end
  end
  commit()
  for _, j in ipairs(joins) do call('SADD', j[1], j[2]) end
  for _, d in ipairs(dues) do call('ZADD', d[1], d[3], d[2]) end
  for key, death in pairs(lives) do live_until(key, str(death)) end
  for scope in pairs(scopes) do call('DEL', scope) end
  return {'OK', head}
end

work = work_of_shard()
if not work.id or not work.head then return {'AWAY', '0', 'the shard is empty: its meta is gone'} end
if work.id ~= ARGV[1] then return {'AWAY', '0', 'the shard belongs to another ledger'} end
if work.epoch ~= ARGV[2] then return {'LATE', work.epoch or '0'} end
if work.seq ~= tonumber(ARGV[4]) - 1 then return {'PAST', work.head} end
return put_back()
