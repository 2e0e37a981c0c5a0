#!lua
-- refund.lua: a charge, or a part of it, is given back: to the very packs and wallets that paid.
--
-- Idea: what has been given back of a charge is remembered with who paid it, under the charge's seq, for ever; no source
-- gets more than it paid. The caller read the charge, perhaps from the archive; what it says is held against the entry, the
-- marker and that memory, as far as they are still here. A pack that was revoked or has expired meanwhile gets its part, and
-- loses it at once by an entry of its own (expel).
--
-- KEYS: [1] meta … [9] marker of the charge's request, see lib.lua and account.lua; [10] refs, see ref.lua; [11] refunds, hash of the
--       account: "<seq of the charge>" -> "<who paid> <given back>", both "p1=300,b=5,r=5" in one order, '-' for nothing
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] amount of cash, nano, or '' for all that is left; [7] the charge: its
--       seq, [8] type, [9] who paid ('-' for nobody), [10] key suffix, [11] tokens, [12] day and [13] month; [14] what has been
--       given back by the journal, as [9], or '' when nobody has looked; [15] reason; [16] static JSON; [17] life of a marker, ms;
--       [18] reference; [19] the same if people gave it, else ''; [20] digest of the content; [21] ttl of the reference, ms, 0 for ever
-- Output: OK | SAME, seq, entry seq, entry fields …     CONFLICT, seq, value (of the reference)     LOST, seq (no account)
--         OTHER, seq, why (the charge is not what the caller says)     LOOK, seq (what the journal has given back must be passed)
--         NONE, seq (nothing left)     OVER, seq, cash paid, cash given back     RANGE, seq (balance beyond ±9e18)

local REFUNDS, charge_seq, kind, paid_by -- of the call in hand

-- back_of decides what goes back: a list as pairs_of makes it. Else nil and the refusal.
local function back_of(paid, given)
  local left, cash, cash_given, rest = {}, 0, 0, 0
  for i = 1, #paid do
    local name, n = paid[i][1], paid[i][2]
    left[i] = {name, n - (given[name] or 0)}
    rest = rest + left[i][2]
    if name == 'r' or name == 'b' then cash, cash_given = cash + n, cash_given + n - left[i][2] end
  end
  if rest == 0 then return nil, {'NONE', str(seq)} end
  if ARGV[6] == '' then return left end
  local amount = tonumber(ARGV[6])
  if amount > cash - cash_given then return nil, {'OVER', str(seq), str(cash), str(cash_given)} end
  -- Pro rata by cumulative floors: after each refund, bonus has got back its share of all that was, rounded down.
  local to_bonus, left_recharge = 0, 0
  for i = 1, #paid do
    if paid[i][1] == 'r' then left_recharge = left[i][2] end
    if paid[i][1] == 'b' then
      to_bonus = muldiv(cash_given + amount, paid[i][2], cash, 0) - (given.b or 0)
      to_bonus = max(0, min(to_bonus, left[i][2], amount))
    end
  end
  to_bonus = max(to_bonus, amount - left_recharge)
  local back = {}
  if to_bonus > 0 then back[1] = {'b', to_bonus} end
  if amount > to_bonus then back[#back + 1] = {'r', amount - to_bonus} end
  return back
end

-- sums adds a list to amounts by name.
local function sums(amounts, list)
  for i = 1, #list do amounts[list[i][1]] = (amounts[list[i][1]] or 0) + list[i][2] end
  return amounts
end

-- text_by writes down, of each who paid, what of() says; parts of nothing are left out.
local function text_by(paid, of)
  local list = {}
  for i = 1, #paid do
    local n = of(paid[i][1], paid[i][2])
    if n > 0 then list[#list + 1] = {paid[i][1], n} end
  end
  return #list > 0 and text_of(list) or '-'
end

-- memory is what has been given back of the charge: amounts by name, or nil and the refusal.
local function memory(marker, paid)
  local known = call('HGET', REFUNDS, charge_seq)
  local first, before = match(known or '', '^(%S+) (%S+)$')
  if first and first ~= paid_by then return nil, {'OTHER', str(seq), 'an earlier refund says that others paid'} end
  -- A late settle or release may have taken an abandon back, which its marker alone remembers.
  if kind == 'abandon' and not marker and ARGV[14] == '' then return nil, {'LOOK', str(seq)} end
  local given, told = sums({}, pairs_of(before or '')), sums({}, pairs_of(ARGV[14]))
  for i = 1, #paid do
    local name = paid[i][1]
    given[name] = min(paid[i][2], max(given[name] or 0, told[name] or 0))
    if sub(name, 1, 1) == 'p' and call('HEXISTS', PACKS, name .. ':b') == 0 then
      return nil, {'OTHER', str(seq), 'there is no pack ' .. name}
    end
  end
  return given
end

-- give moves the money and quantities in hand; false when a wallet would hold too much.
local function give(back)
  local drawn, cash, to_bonus, to_recharge = {}, 0, 0, 0
  for i = 1, #back do
    local name, n = back[i][1], back[i][2]
    if name == 'b' then to_bonus = n elseif name == 'r' then to_recharge = n elseif n > 0 then drawn[#drawn + 1] = back[i] end
  end
  local bonus, recharge = add(account.bonus, to_bonus), add(account.recharge, to_recharge)
  if beyond(bonus) or beyond(recharge) then return false end
  account.bonus, account.recharge = bonus, recharge
  returning(drawn, 'came back by a refund')
  for i = 1, #drawn do
    fill_pack(packs[drawn[i][1]], drawn[i][2])
  end
  return true, to_recharge + to_bonus, paid_text(drawn, to_recharge, to_bonus), touched(drawn, to_recharge, to_bonus)
end

-- book writes the refund. Of an abandon the marker follows, so that a late settlement takes back what is left alone.
local function book(marker, paid, given, back)
  local fits, cash, text, balances = give(back)
  if not fits then return {'RANGE', str(seq)} end
  sums(given, back)
  local given_text = text_by(paid, function(name) return given[name] or 0 end)
  local left_text = text_by(paid, function(name, n) return n - (given[name] or 0) end)
  local fields = {'a', owner, 'k', ARGV[10], 'r', request, 'f', str(cash), 'p', text, 'z', balances, 'v', ARGV[15], 'e', ARGV[19],
    's', ARGV[16], 'd', ARGV[20], 'i', ARGV[19] == '' and ARGV[18] or '', 'x', charge_seq .. ' ' .. paid_by .. ' ' .. given_text}
  if left_text == '-' then
    fields[#fields + 1], fields[#fields + 2] = 'u', ARGV[11] .. ' ' .. ARGV[12] .. ' ' .. ARGV[13]
  else
    fields[#fields + 1], fields[#fields + 2] = 'j', ARGV[12] .. ' ' .. ARGV[13]
  end
  -- Refunds and repricings never start a new day or month of the key's counters; only calls do (a verb may not know the zone).
  if load_key(ARGV[10]) then
    if left_text == '-' then key_uncharges(cash, tonumber(ARGV[11]), ARGV[12], ARGV[13]) else key_refunds(cash, ARGV[12], ARGV[13]) end
  end
  local n = note('refund', fields)
  put(REFUNDS, charge_seq, paid_by .. ' ' .. given_text)
  expel()
  finish()
  local abandon = marker and read_abandon(marker)
  if abandon then
    local now_is = 'u ' .. charge_seq .. ' ' .. abandon.candidates
    if left_text ~= '-' then
      now_is = concat({'a', charge_seq, str(abandon.fee - cash), str(abandon.tokens), abandon.day, abandon.month, abandon.key,
        left_text, abandon.candidates}, ' ')
    end
    mark(now_is, tonumber(ARGV[17]))
  end
  remember(ARGV[18], n, ARGV[20], ARGV[21])
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

local function refund()
  REFUNDS, charge_seq, kind, paid_by = KEYS[11], ARGV[7], ARGV[8], ARGV[9]
  local before = booked_before(ARGV[18], ARGV[20])
  if before then return before end
  if not load_account() then return {'LOST', str(seq)} end
  local marker = call('HGET', MARKER, request)
  local why = unlike(marker, charge_seq, kind, paid_by)
  if why then return {'OTHER', str(seq), why} end
  local paid = pairs_of(paid_by)
  local given, refusal = memory(marker, paid)
  if not given then return refusal end
  local back
  back, refusal = back_of(paid, given)
  if not back then return refusal end
  return book(marker, paid, given, back)
end

return refund
