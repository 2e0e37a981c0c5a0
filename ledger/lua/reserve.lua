#!lua
-- reserve.lua: admission. Everything that must hold before a call goes upstream, and the hold, in one step.
--
-- Idea: checks in the order key, account, network, model, endpoint; then funds and spend limits, all or nothing; then rates.
-- A truly exhausted limit is named before one that only requests in flight stand against. A refused request takes nothing.
-- Run twice, it returns the first hold; run after the request has ended, it says so and places none.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] key suffix; [7] SHA-256 of the key; [8] model; [9] endpoint;
--       [10] client address, hex of 16 bytes, or ''; [11] the zone's offset from UTC, s; [12] ttl of the hold, ms;
--       [13] tokens at most; [14] lines of the quote, see read_lines; [15] time in the request id, ms;
--       [16] the oldest request id that may be admitted, ms ago (its marker might be forgotten beyond that);
--       [17] what the lines come to, see read_charge
-- Output: OK, seq, hold, deadline, standing
--         NO, seq, reason, limit, required, available, held, counted (1: units, 0: nano), retry after ms, cash, pack free, now, standing,
--             tokens that the key's limits leave, or ''
--         ENDED, seq, marker                 OLD, seq

-- A refusal's numbers. Cash and pack_free tell what the request could have drawn on.
local function no(reason, limit, r)
  r = r or {}
  return {'NO', str(seq), reason, limit, str(r.required or 0), str(r.available or 0), str(r.held or 0), r.counted and '1' or '0',
    str(r.retry or 0), str(r.cash or 0), str(r.pack_free or 0), str(now), r.standing or '', r.tokens and str(r.tokens) or ''}
end

-- already answers for a request that has been here before.
local function already(groups)
  local marker, hold = look(MARKER, request), look(HOLDS, request)
  if marker then return {'ENDED', str(seq), marker} end
  if not hold then
    if now - tonumber(ARGV[15]) > tonumber(ARGV[16]) then return {'OLD', str(seq)} end
    return nil
  end
  load_key(ARGV[6], ARGV[11])
  find_packs(groups, read_hold(hold).candidates, ARGV[8])
  return {'OK', str(seq), hold, call('ZSCORE', DUE, due_member()), standing(groups, key_standing())}
end

-- without_holds prices the charge as if no request were in flight. Returns the fee then, and the cash that there would be. Only for
-- what is refused: what the packs cover is that of this price.
local function without_holds(groups)
  local cash = total(account.recharge, account.bonus, account.overdraft)
  return price(groups, cash, true), cash
end

-- held_in_all adds to what is held in cash what packs would pay of the fee if nothing of them were held.
local function held_in_all(cash, fee, fee_then) return add(cash, max(0, fee - fee_then)) end

-- funds checks packs and wallets: nil, or what is lacking, with `hard` when requests in flight are not the cause.
local function funds(groups, fee, free)
  if fee == 0 or fee <= free then return nil end
  local fee_then, cash = without_holds(groups)
  return {limit = 'balance', required = fee, available = max(0, free), held = held_in_all(account.held, fee, fee_then),
    reason = 'insufficient_funds', hard = fee_then > 0 and fee_then > cash}
end

-- lacks returns one of the key's limits if what is left of it is not enough, or `first` if that was found before and counts more.
-- It is hard if even the least that may be required, once requests in flight have ended, is more than would be left then.
local function lacks(first, limit, required, least, left, left_without_holds, held, counted)
  if required == 0 or required <= left then return first end
  local hard = least > left_without_holds
  if first and (first.hard or not hard) then return first end
  return {limit = limit, required = required, available = max(0, left), held = held, counted = counted,
    reason = 'key_spend_exhausted', hard = hard}
end

-- spend checks the key's limits in cash and tokens: nil, or the first that is hard, else the first that is not met.
local function spend(groups, fee, tokens, limits)
  local first, fee_then
  for i = 1, #limits do
    local limit, left, left_without_holds = unpack(limits[i])
    if fee > 0 and fee > left then
      fee_then = fee_then or without_holds(groups)
      first = lacks(first, limit, fee, min(fee, fee_then), left, left_without_holds, held_in_all(key.sh, fee, fee_then))
    end
  end
  local allowed, tpm = key.terms.tokens, key.terms.tpm
  if allowed ~= 0 then
    first = lacks(first, 'key.tokens', tokens, tokens, total(allowed, negate(key.t), negate(key.th)), total(allowed, negate(key.t)), key.th, true)
  end
  if tpm > 0 then first = lacks(first, 'key.tpm', tokens, tokens, tpm, tpm, 0, true) end
  return first
end

-- tokens_left is how many tokens the key's limits leave a single request; nil without such a limit.
local function tokens_left()
  local allowed, tpm, left = key.terms.tokens, key.terms.tpm, nil
  if allowed ~= 0 then left = max(0, total(allowed, negate(key.t), negate(key.th))) end
  if tpm > 0 then left = min(left or tpm, tpm) end
  return left
end

-- wait tells how long, in ms, until a bucket has what is needed of it; nil when it has, or nothing is needed: it may be below zero.
local function wait(level, limit, need)
  if limit == 0 or need == 0 or need <= level then return nil end
  return ceil((need - level) / limit), max(0, floor(level / UNIT_OF_RATE))
end

-- short_of is what packs, wallets or the key's limits lack: nil, or the refusal. One that would stand without the requests
-- in flight goes before one that would not.
local function short_of(groups, fee, free, tokens, limits)
  local lacking, of_key = funds(groups, fee, free), spend(groups, fee, tokens, limits)
  if not lacking or of_key and of_key.hard and not lacking.hard then lacking = of_key or lacking end
  if lacking and not lacking.hard then lacking.reason = 'in_flight' end
  return lacking
end

-- rates checks rpm, tpm and parallel: nil, or the refusal.
local function rates(tokens)
  local terms = key.terms
  local retry, available = wait(key.rb, terms.rpm, UNIT_OF_RATE)
  if retry then return {reason = 'rate_limited', limit = 'key.rpm', required = 1, available = available, retry = retry, counted = true} end
  retry, available = wait(key.tb, terms.tpm, tokens * UNIT_OF_RATE)
  if retry then return {reason = 'rate_limited', limit = 'key.tpm', required = tokens, available = available, retry = retry, counted = true} end
  if terms.parallel ~= 0 and key.p >= terms.parallel then
    return {reason = 'too_many_parallel', limit = 'key.parallel', required = 1, available = 0, held = key.p, counted = true}
  end
end

-- place writes the hold.
local function place(groups, fee, tokens)
  local drawn = draws(groups)
  account.held = add(account.held, fee)
  for i = 1, #drawn do
    local pack = packs[drawn[i][1]]
    pack.h = pack.h + drawn[i][2]
  end
  key_holds(fee, tokens)
  local rpm = key.terms.rpm
  if rpm > 0 then key.rb = key.rb - UNIT_OF_RATE end
  key_gains(-tokens)
  local hold = long(key.suffix .. '\t' .. str(fee) .. '\t' .. ARGV[13] .. '\t' .. str(now) .. '\t' .. text_of(drawn) .. '\t' ..
    candidates_of(groups) .. '\t' .. ARGV[8] .. '\t')
  local deadline = str(now + tonumber(ARGV[12]))
  put(HOLDS, request, hold)
  comes_due(deadline, due_member())
  return {'OK', str(seq), hold, deadline, standing(groups, key_standing())}
end

-- forbid refuses whatever is left, and tells that all the same.
local function forbid(reason, limit, groups) return no(reason, limit, {standing = standing(groups, key_standing())}) end

-- admit goes through the checks.
local function admit(groups)
  load_key(ARGV[6], ARGV[11])
  local reason, limit = refuse_holder(ARGV[7], ARGV[10])
  if reason then return no(reason, limit) end
  local terms, model, tokens = key.terms, ARGV[8], tonumber(ARGV[13])
  find_packs(groups, nil, model)
  if not listed(terms.models, model) then return forbid('model_not_allowed', 'key.models', groups) end
  if not listed(terms.endpoints, ARGV[9]) then return forbid('endpoint_not_allowed', 'key.endpoints', groups) end

  local free = cash_free()
  local fee = price(groups, free)
  local limits = spend_left()
  local refusal = short_of(groups, fee, free, tokens, limits) or rates(tokens)
  if not refusal then return place(groups, fee, tokens) end

  local cash = free
  for i = 1, #limits do cash = min(cash, limits[i][2]) end
  refusal.pack_free = 0
  for i = 1, #groups do
    local g = groups[i]
    if g.unit == 'token' then
      refusal.pack_free = free_of(g.packs.before)
      -- Packs that come after the wallets give what those lack, never what a limit of the key does.
      if cash == free then refusal.pack_free = refusal.pack_free + free_of(g.packs.after) end
    end
  end
  refusal.cash, refusal.tokens, refusal.standing = max(0, cash), tokens_left(), standing(groups, key_standing())
  return no(refusal.reason, refusal.limit, refusal)
end

local function reserve()
  local groups = load_account() and read_charge(ARGV[14], ARGV[17]) or NONE
  return already(groups) or admit(groups)
end

return reserve
