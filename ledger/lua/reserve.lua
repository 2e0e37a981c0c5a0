#!lua
-- reserve.lua: admission. Everything that must hold before a call goes upstream, and the hold, in one step.
--
-- Idea: checks in the order key, account, network, model, endpoint; then funds and spend limits, all or nothing; then rates.
-- A truly exhausted limit is named before one that only requests in flight stand against. A refused request takes nothing.
-- Run twice, it returns the first hold; run after the request has ended, it says so and places none.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and pay.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] key suffix; [7] SHA-256 of the key; [8] model; [9] endpoint;
--       [10] client address, hex of 16 bytes, or ''; [11] the zone's offset from UTC, s; [12] ttl of the hold, ms;
--       [13] tokens at most; [14] lines of the quote, see read_lines; [15] time in the request id, ms;
--       [16] the oldest request id that may be admitted, ms ago (its marker might be forgotten beyond that)
-- Output: OK, seq, hold, deadline, standing
--         NO, seq, reason, limit, required, available, held, counted (1: units, 0: nano), retry after ms, cash, pack free, now, standing
--         ENDED, seq, marker                 OLD, seq

local owner, request, suffix, model = ARGV[4], ARGV[5], ARGV[6], ARGV[8]
local offset, tokens = ARGV[11], tonumber(ARGV[13])
local groups

-- A refusal's numbers. Cash and pack_free tell what the request could have drawn on.
local function no(reason, limit, r)
  r = r or {}
  return {'NO', str(seq), reason, limit, str(r.required or 0), str(r.available or 0), r.held or '0', r.counted and '1' or '0',
    str(r.retry or 0), str(r.cash or 0), str(r.pack_free or 0), str(now), r.standing or ''}
end

-- already answers for a request that has been here before.
local function already()
  local marker, hold = call('HGET', MARKER, request), call('HGET', HOLDS, request)
  if marker then return {'ENDED', str(seq), marker} end
  if not hold then
    if now - tonumber(ARGV[15]) > tonumber(ARGV[16]) then return {'OLD', str(seq)} end
    return nil
  end
  load_account()
  load_key(suffix, offset)
  find_packs(groups, read_hold(hold).candidates, model)
  return {'OK', str(seq), hold, call('ZSCORE', DUE, owner .. ' ' .. request), standing(groups, key_standing())}
end

-- funds checks packs and wallets: nil, or what is lacking, with `hard` when requests in flight are not the cause.
local function funds(fee, free)
  if fee == 0 or fee <= free then return nil end
  local without_holds = total(account.recharge, account.bonus, account.overdraft)
  local lacking = {limit = 'balance', required = fee, available = max(0, free), held = account.held, reason = 'insufficient_funds'}
  local fee_then = price(groups, without_holds, true)
  lacking.hard = fee_then > 0 and fee_then > without_holds
  price(groups, free)
  return lacking
end

-- spend checks the key's limits in cash and tokens: nil, or the first that is hard, else the first that is not met.
local function spend(fee, limits)
  local first
  local function lacks(limit, required, left, left_without_holds, held, counted)
    if required == 0 or required <= left then return end
    local found = {limit = limit, required = required, available = max(0, left), held = held, counted = counted,
      reason = 'key_spend_exhausted', hard = required > left_without_holds}
    if not first or found.hard and not first.hard then first = found end
  end
  for i = 1, #limits do lacks(limits[i][1], fee, limits[i][2], limits[i][3], key.sh) end
  if key.tokens ~= '0' then
    lacks('key.tokens', tokens, total(key.tokens, negate(key.t), negate(key.th)), total(key.tokens, negate(key.t)), key.th, true)
  end
  if key.tpm > 0 then lacks('key.tpm', tokens, key.tpm, key.tpm, '0', true) end
  return first
end

-- rates checks rpm, tpm and parallel: nil, or the refusal.
local function rates(detail)
  local function wait(limit, need, had)
    if need <= had then return nil end
    detail.retry, detail.counted = math.ceil((need - had) / limit), true
    detail.available = max(0, floor(had / UNIT_OF_RATE))
    return true
  end
  if key.rpm > 0 and wait(key.rpm, UNIT_OF_RATE, level(key.rb, key.rpm)) then
    detail.required = 1
    return no('rate_limited', 'key.rpm', detail)
  end
  if key.tpm > 0 and wait(key.tpm, tokens * UNIT_OF_RATE, level(key.tb, key.tpm)) then
    detail.required = tokens
    return no('rate_limited', 'key.tpm', detail)
  end
  if key.parallel ~= '0' and tonumber(key.p) >= tonumber(key.parallel) then
    detail.required, detail.available, detail.held, detail.counted = 1, 0, key.p, true
    return no('too_many_parallel', 'key.parallel', detail)
  end
end

-- place writes the hold.
local function place(fee)
  local drawn = draws(groups)
  account.held = add(account.held, str(fee))
  for i = 1, #drawn do
    local pack = packs[drawn[i][1]]
    pack.h = pack.h + drawn[i][2]
  end
  key_holds(fee, tokens)
  if key.rpm > 0 then key.rb = bucket(level(key.rb, key.rpm) - UNIT_OF_RATE) end
  if key.tpm > 0 then key.tb = bucket(level(key.tb, key.tpm) - tokens * UNIT_OF_RATE) end
  local hold = table.concat({suffix, str(fee), ARGV[13], str(now), text_of(drawn), candidates_of(groups), model}, '\t')
  local deadline = str(now + tonumber(ARGV[12]))
  put(ACCOUNT, 'held', account.held)
  put_packs(owner)
  put_key()
  put(HOLDS, request, hold)
  commit()
  call('ZADD', DUE, deadline, owner .. ' ' .. request)
  return {'OK', str(seq), hold, deadline, standing(groups, key_standing())}
end

-- admit goes through the checks.
local function admit()
  load_account()
  load_key(suffix, offset)
  local reason, limit = refuse_holder(ARGV[7], ARGV[10])
  if reason then return no(reason, limit) end
  if not listed(key.models, model) then return no('model_not_allowed', 'key.models') end
  if not listed(key.endpoints, ARGV[9]) then return no('endpoint_not_allowed', 'key.endpoints') end

  find_packs(groups, nil, model)
  local free = cash_free()
  local fee = price(groups, free)
  local limits = spend_left()
  local lacking, lacking_key = funds(fee, free), spend(fee, limits)
  if not lacking or lacking_key and lacking_key.hard and not lacking.hard then lacking = lacking_key or lacking end

  local pack_free = 0
  for i = 1, #groups do
    if groups[i].unit == 'token' then pack_free = free_of(groups[i].before) + free_of(groups[i].after) end
  end
  for i = 1, #limits do free = min(free, limits[i][2]) end
  local detail = lacking or {}
  detail.cash, detail.pack_free, detail.standing = max(0, free), pack_free, standing(groups, key_standing())
  if lacking then return no(lacking.hard and lacking.reason or 'in_flight', lacking.limit, lacking) end
  return rates(detail) or place(fee)
end

local away = enter()
if away then return away end
groups = read_lines(ARGV[14])
return already() or admit()
