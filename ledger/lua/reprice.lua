#!lua
-- reprice.lua: a charge is booked at another price: taken back as if it had never been, and charged anew, in one step.
--
-- Idea: only the cash changes. What packs paid they pay again, and each wallet what it paid, but for the difference: what is less
-- goes back pro rata to the wallets that paid; what is more is laid on them by the account's split. Of a charge that nobody paid (it had
-- no price) it is decided now who pays, packs first. That the charge was taken back is remembered as a refund of it is, for ever,
-- so that it is done once. For its key it stays a charge of its own day.
--
-- KEYS: [1] meta … [9] marker of the charge's request, see lib.lua and account.lua; [10] refunds, see refund.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] key suffix; [7] model; [8] reason; [9] life of a marker, ms; the charge as
--       it is booked: its [10] seq, [11] who paid ('-' for nobody), [12] static JSON, [13] lines, [14] digest, [15] hold, [16] tokens,
--       [17] day and [18] month of the spend; as it is to be: its [19] fee, [20] static JSON, [21] lines, [22] tokens; and where nobody
--       paid, [23] its lines and [24] what these come to, as settle.lua has them
-- Output: OK, seq, entry seq, entry fields …     OTHER, seq, why (the charge is not what the caller says, or has been refunded)
--         LOST, seq (no account)     RANGE, seq (balance beyond ±9e18)

local REFUNDS -- of the call in hand

-- load_drawn takes the packs that paid in hand; false when one is not there.
local function load_drawn(drawn)
  local ids = {}
  for i = 1, #drawn do
    ids[i] = drawn[i][1]
    if call('HEXISTS', PACKS, ids[i] .. ':b') == 0 then return false end
  end
  load_packs(ids)
  return true
end

-- corrected is what each wallet is to pay of a fee, having paid this.
local function corrected(fee, from_recharge, from_bonus)
  local more = fee - from_recharge - from_bonus
  if more >= 0 then
    local recharge, bonus = split(more)
    return from_recharge + recharge, from_bonus + bonus
  end
  local to_bonus = muldiv(-more, from_bonus, from_recharge + from_bonus, 0)
  return from_recharge + more + to_bonus, from_bonus - to_bonus
end

-- by_now decides who pays what nobody has paid: the fee, its lines, the packs drawn, and the parts of recharge and bonus. The
-- key's limits are not asked: it has made the call, perhaps on a day whose spend is not known any more.
local function by_now()
  local groups = read_charge(ARGV[23], ARGV[24])
  find_packs(groups, nil, ARGV[7])
  local fee = price(groups, cash_free())
  return fee, groups.booked or lines_text(groups.lines), draws(groups), split(fee)
end

-- undo takes the charge back, in hand.
local function undo(drawn, from_recharge, from_bonus)
  pay_back(drawn, from_recharge, from_bonus)
  note('refund', {'s', ARGV[12], 'a', owner, 'k', ARGV[6], 'r', request, 'f', str(from_recharge + from_bonus), 'l', ARGV[13],
    'p', paid_text(drawn, from_recharge, from_bonus), 'z', touched(drawn, from_recharge, from_bonus), 'v', ARGV[8],
    'x', ARGV[10] .. ' ' .. ARGV[11] .. ' ' .. ARGV[11], 'u', ARGV[16] .. ' ' .. ARGV[17] .. ' ' .. ARGV[18], 'y', '1'})
  put(REFUNDS, ARGV[10], ARGV[11] .. ' ' .. ARGV[11])
end

-- redo charges it anew, in hand. It returns the entry's seq.
local function redo(fee, lines, drawn, from_recharge, from_bonus)
  pay(drawn, from_recharge, from_bonus)
  local fields = {'s', ARGV[20], 'a', owner, 'k', ARGV[6], 'r', request, 'f', str(fee), 'l', lines,
    'p', paid_text(drawn, from_recharge, from_bonus), 'z', touched(drawn, from_recharge, from_bonus), 'v', ARGV[8],
    'd', ARGV[14], 'j', ARGV[17] .. ' ' .. ARGV[18]}
  if ARGV[15] ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'h', ARGV[15]
    local over = fee - tonumber(ARGV[15])
    if over > 0 then fields[#fields + 1], fields[#fields + 2] = 'o', str(over) end
  end
  return note('charge', fields)
end

local function book()
  local drawn, from_recharge, from_bonus = parted(pairs_of(ARGV[11]))
  if not load_drawn(drawn) then return {'OTHER', str(seq), 'a pack that paid is not there'} end
  if beyond(add(account.recharge, from_recharge)) or beyond(add(account.bonus, from_bonus)) then return {'RANGE', str(seq)} end
  load_key(ARGV[6]) -- no new day or month of its counters begins here, see refund.lua
  local fee, lines, now_drawn, now_recharge, now_bonus = tonumber(ARGV[19]), ARGV[21], drawn, nil, nil
  if ARGV[11] == '-' then
    fee, lines, now_drawn, now_recharge, now_bonus = by_now()
  else
    now_recharge, now_bonus = corrected(fee, from_recharge, from_bonus)
  end
  undo(drawn, from_recharge, from_bonus)
  local n = redo(fee, lines, now_drawn, now_recharge, now_bonus)
  if key then key_corrects(fee - from_recharge - from_bonus, tonumber(ARGV[22]) - tonumber(ARGV[16]), ARGV[17], ARGV[18]) end
  mark('c ' .. str(n) .. ' ' .. ARGV[14], tonumber(ARGV[9]))
  finish()
  return {'OK', str(seq), str(n), unpack(entry_at(str(n)))}
end

-- booked_so returns the entry's seq when the charge that stands is the one that is to be: the answer to the call that booked it was
-- lost, and this is that call once more; or somebody else has done the same.
local function booked_so(marker)
  local n = match(marker or '', '^c (%d+) ')
  local entry = n and n ~= ARGV[10] and fields_at(n)
  return entry and entry.s == ARGV[20] and n
end

local function reprice()
  REFUNDS = KEYS[10]
  if not load_account() then return {'LOST', str(seq)} end
  local marker = call('HGET', MARKER, request)
  local n = booked_so(marker)
  if n then return {'OK', str(seq), n, unpack(entry_at(n))} end
  local why = unlike(marker, ARGV[10], 'charge', ARGV[11])
  if not why and call('HEXISTS', REFUNDS, ARGV[10]) == 1 then why = 'it has been refunded' end
  if why then return {'OTHER', str(seq), why} end
  return book()
end

return reprice
