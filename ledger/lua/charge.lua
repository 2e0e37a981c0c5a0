-- charge.lua: booking a charge and taking one back, for settle, release and sweep.
--
-- Journal entries of requests, fields (all scripts share them; each type uses some):
--   t type, m time booked (ms), a account, k key suffix, r request id, s static JSON made by the caller, f fee (cash due),
--   l lines as "<cash>:<units by packs>,…" in the order of the static lines, p who paid "p1=300,b=5,r=5",
--   z balances after "r=…,b=…,p1=…" of what was touched, h cash held before, o fee above it, g pack, q quantity, w wallet,
--   n amount, v reason, e ref
-- and, so that the entry alone can be booked again on a Redis that lost it (see ../putback.go):
--   d digest of the content, i reference made up by Go, c candidates of an abandoned hold, u "<tokens> <day> <month>" of a
--   charge that is taken back as if it had never been
-- A charge at another price (reprice.lua) has j "<day> <month>" of the spend that it is of, and the refund before it x, u, and y: it
-- has s and l of what it takes back, as if that had never been.
-- An operator's refund (refund.lua) also has x "<charge seq> <who paid> <given back so far, this included>": the second and
-- third word are what the refunds hash then has under the first; where the charge was an abandon, its marker follows (hold.lua).
-- Of the key it takes f off the spend; when nothing of the charge is left it has u, and takes off tokens and request too;
-- else it has j "<day> <month>" of the charge.

-- in_hand loads what a charge needs and gives the hold back, in hand.
local function in_hand(hold, suffix, offset)
  if not load_account() then return false end
  load_key(hold and hold.key or suffix, offset)
  if hold then
    give_back(hold)
    if key then key_returns(hold.cash, hold.tokens, hold.task ~= '') end
  end
  return true
end

-- with_wallets ends a list "p1=300,b=5,r=5" with the wallets that paid; false: it did not.
local function with_wallets(text, bonus, recharge)
  if bonus then text = (text == '' and 'b=' or text .. ',b=') .. str(bonus) end
  if recharge then text = (text == '' and 'r=' or text .. ',r=') .. str(recharge) end
  return text
end

-- paid_text is who paid.
local function paid_text(drawn, from_recharge, from_bonus)
  return with_wallets(text_of(drawn), from_bonus > 0 and from_bonus, from_recharge > 0 and from_recharge)
end

-- touched lists the balances after, of the packs drawn and the wallets that paid.
local function touched(drawn, from_recharge, from_bonus)
  local text = ''
  for i = 1, #drawn do text = (i == 1 and '' or text .. ',') .. drawn[i][1] .. '=' .. str(packs[drawn[i][1]].b) end
  return with_wallets(text, from_bonus > 0 and account.bonus, from_recharge > 0 and account.recharge)
end

-- pay takes from packs and wallets, in hand, what each is to pay; a negative part comes back.
local function pay(drawn, from_recharge, from_bonus)
  account.recharge = add(account.recharge, -from_recharge)
  account.bonus = add(account.bonus, -from_bonus)
  for i = 1, #drawn do
    fill_pack(packs[drawn[i][1]], -drawn[i][2])
  end
end

-- as_told makes the very packs and wallets pay that paid when this charge was booked before, in a journal that Redis has
-- lost since: the client has been told. told is "<fee>\t<lines>\t<paid>", as the entry had them. Returns nil when one of
-- them cannot pay its part any more; then who pays is decided anew.
local function as_told(groups, told)
  local fee, lines, paid = match(told, '^(%d+)\t([^\t]*)\t(.*)$')
  local drawn, ids, wallets, count = {}, {}, {r = 0, b = 0}, 0
  for _, part in ipairs(pairs_of(paid or '')) do
    if wallets[part[1]] then
      wallets[part[1]] = part[2]
    elseif call('HEXISTS', PACKS, part[1] .. ':b') == 0 then
      return nil
    else
      drawn[#drawn + 1], ids[#ids + 1] = part, part[1]
    end
  end
  for _ in gmatch(lines or '', '%d+:%d+') do count = count + 1 end
  if not fee or count ~= #groups.lines then return nil end
  load_packs(ids) -- and not more: what is free of one past its expiry may have been told to others, whose turn comes
  for i = 1, #drawn do
    local pack = packs[drawn[i][1]]
    if pack.b - pack.h < drawn[i][2] then return nil end
  end
  if wallets.r > max(0, clamp(account.recharge)) or wallets.b > max(0, clamp(account.bonus)) then return nil end
  groups.booked = lines
  return tonumber(fee), drawn, wallets.r, wallets.b
end

-- held_after tells whether a hold has something of packs that come after the wallets, of whatever unit.
local function held_after(hold)
  if #hold.packs == 0 then return false end
  for _, candidates in pairs(read_held(hold.candidates)) do
    for _, id in ipairs(candidates.after) do
      for _, held in ipairs(hold.packs) do
        if held[1] == id then return true end
      end
    end
  end
  return false
end

-- cash_for is what the wallets can give for a call. Where packs that come after them were held for it, that is what was held of
-- the wallets: the key's spend limits were asked for no more, whatever the wallets have come to since. Without a hold they are
-- asked now.
local function cash_for(hold)
  local free = cash_free()
  if hold then return free > hold.cash and held_after(hold) and hold.cash or free end
  local limits = key and spend_left() or NONE
  for i = 1, #limits do free = min(free, limits[i][2]) end
  return free
end

-- who_pays decides it: packs, then wallets. Returns the fee, the packs drawn, and the parts of recharge and bonus.
local function who_pays(groups, hold)
  local fee = price(groups, cash_for(hold))
  return fee, draws(groups), split(fee)
end

-- charge books lines (groups) for the request, in hand: packs, wallets, key, and the entry. told is '', or see as_told.
-- field and value are one more for the entry.
-- Returns the entry's seq, the fee, who paid, and the entry's fields k f l p z h o as one tab-separated text.
local function charge(kind, hold, static, groups, tokens, told, field, value)
  local fee, drawn, from_recharge, from_bonus
  if told ~= '' then fee, drawn, from_recharge, from_bonus = as_told(groups, told) end
  if not fee then fee, drawn, from_recharge, from_bonus = who_pays(groups, hold) end
  pay(drawn, from_recharge, from_bonus)
  if key then key_charges(fee, tokens, hold and hold.tokens or 0) end

  local k, f, l = key and key.suffix or '', str(fee), groups.booked or lines_text(groups.lines)
  local p, z = paid_text(drawn, from_recharge, from_bonus), touched(drawn, from_recharge, from_bonus)
  local h, o = hold and str(hold.cash) or '', hold and fee > hold.cash and str(fee - hold.cash) or ''
  -- What of h and o is empty is left out: at the end of a list, nothing is nothing.
  local fields = {'s', static, 'a', owner, 'k', k, 'r', request, 'f', f, 'l', l, 'p', p, 'z', z, field, value,
    hold and 'h' or nil, hold and h or nil, o ~= '' and 'o' or nil, o ~= '' and o or nil}
  return note(kind, fields), fee, p, k .. '\t' .. f .. '\t' .. l .. '\t' .. p .. '\t' .. z .. '\t' .. h .. '\t' .. o
end

-- read_abandon parses the marker of a hold that was swept and charged; nil for any other.
local function read_abandon(marker)
  local n, fee, tokens, day, month, suffix, paid, candidates =
    match(marker, '^a (%d+) (%d+) (%d+) (%-?%d+) (%-?%d+) (%S+) (%S+) (%S+)$')
  if not n then return nil end
  return {seq = n, fee = tonumber(fee), tokens = tonumber(tokens), day = day, month = month, key = suffix,
    paid = pairs_of(paid), candidates = candidates}
end

-- parted is who paid, a list as pairs_of makes it, as packs drawn and the parts of recharge and bonus.
local function parted(paid)
  local drawn, from_recharge, from_bonus = {}, 0, 0
  for _, part in ipairs(paid) do
    if part[1] == 'r' then
      from_recharge = part[2]
    elseif part[1] == 'b' then
      from_bonus = part[2]
    else
      drawn[#drawn + 1] = part
    end
  end
  return drawn, from_recharge, from_bonus
end

-- pay_back gives packs and wallets back, in hand, what each paid.
local function pay_back(drawn, from_recharge, from_bonus)
  local back = {}
  for i = 1, #drawn do back[i] = {drawn[i][1], -drawn[i][2]} end
  pay(back, -from_recharge, -from_bonus)
end

-- take_back refunds an abandoned call's charge in hand: to the very packs and wallets that paid.
local function take_back(abandon, reason)
  local drawn, from_recharge, from_bonus = parted(abandon.paid)
  returning(drawn, 'came back by a refund')
  pay_back(drawn, from_recharge, from_bonus)
  if key then
    key_uncharges(abandon.fee, abandon.tokens, abandon.day, abandon.month)
    key_gains(abandon.tokens) -- what takes its place takes its own
  end
  note('refund', {'a', owner, 'k', key and key.suffix or '', 'r', request, 'f', str(abandon.fee), 'p', text_of(abandon.paid),
    'z', touched(drawn, from_recharge, from_bonus), 'v', reason,
    'u', str(abandon.tokens) .. ' ' .. abandon.day .. ' ' .. abandon.month})
end

-- fields_at is the journal entry with a seq, by field; nil when it has been trimmed.
local function fields_at(n)
  local there = entry_at(n)
  if not there then return nil end
  local entry = {}
  for i = 1, #there, 2 do entry[there[i]] = there[i + 1] end
  return entry
end

-- unlike says why a charge, by its seq, is not what somebody who has read it says it is, by its entry and its request's marker;
-- nil if it is, or if neither is here any more.
local function unlike(marker, charge_seq, kind, paid_by)
  if tonumber(charge_seq) > seq then return 'no such entry' end
  local entry = fields_at(charge_seq)
  if entry then
    local paid = entry.p == '' and '-' or entry.p
    if entry.t ~= kind or entry.a ~= owner or entry.r ~= request or paid ~= paid_by then return 'its entry is another' end
  end
  if not marker then return nil end
  local letter, n = match(marker, '^([cau]) (%d+) ')
  if not letter then return 'the request ended without a charge that stands' end
  if n ~= charge_seq or (letter == 'c') ~= (kind == 'charge') then return 'the request has been charged anew' end
end

