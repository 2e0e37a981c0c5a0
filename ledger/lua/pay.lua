-- pay.lua: who pays. What packs cover of a charge, how the wallets share the rest, and what is left then.

-- read_held parses the candidates of a hold: lists by unit.
local read_held = memo(function(text)
  local known = {}
  for unit, list in gmatch(text, '([^=|]+)=([^|]*)') do known[unit] = read_candidates(list) end
  return known
end)

-- find_packs gives each group its candidates: those of the hold for units the hold knows, else by scope.
local function find_packs(groups, held, model)
  if groups.plain then return end
  local known = held and read_held(held) or NONE
  for i = 1, #groups do
    local group = groups[i]
    group.packs = known[group.unit] or scope_of(group.unit, model)
    load_candidates(group.packs)
  end
end

-- uncover takes back what cover has laid on packs.
local function uncover(group)
  if group.covered == 0 then return end
  for _, line in ipairs(group.lines) do line.covered, line.cash = 0, line.amount end
  group.covered, group.due = 0, group.listed
end

-- cover lets packs pay for `quantity` units of a group: each line's share by cumulative floors, so that the shares
-- add up, and what is left of a line priced anew, rounded half up. Returns the cash then due for the group.
local function cover(group, quantity)
  local sum, upto_before, due = 0, 0, 0
  for i = 1, #group.lines do
    local line = group.lines[i]
    sum = sum + line.quantity
    local upto = quantity == group.total and sum or muldiv(quantity, sum, group.total, 0)
    line.covered = upto - upto_before
    upto_before = upto
    if line.covered == 0 then
      line.cash = line.amount
    elseif line.covered == line.quantity then
      line.cash = 0
    else
      local pico, divisor = amount(line.pico), 1000 * tonumber(line.per)
      local half = divisor / 2
      local slack = max(0, line.amount - muldiv(line.quantity, pico, divisor, half))
      line.cash = min(line.amount, slack + muldiv(line.quantity - line.covered, pico, divisor, half))
    end
    due = due + line.cash
  end
  group.covered, group.due = quantity, due
  return due
end

-- free_of adds up what a list of packs can give; with_held: as if nothing were held. It stops where it has `enough`, if that is said.
local function free_of(ids, with_held, enough)
  local sum = 0
  for i = 1, #ids do
    if enough and sum >= enough then break end
    local pack = packs[ids[i]]
    local free = with_held and pack.b or pack.b - pack.h
    if free > 0 then sum = sum + free end
  end
  return sum
end

-- cover_least draws on a group's packs that come after the wallets: the least quantity (by bisection) that brings what
-- is due, `other` included, down to `cash`; all that there is when even that is not enough. Returns the group's due.
local function cover_least(group, other, cash, with_held)
  local low = group.covered
  local high = min(group.total, low + free_of(group.packs.after, with_held))
  if high == low or other + cover(group, high) > cash then return group.due end
  while high - low > 1 do -- low is not enough, high is
    local middle = floor((low + high) / 2)
    if other + cover(group, middle) > cash then low = middle else high = middle end
  end
  return cover(group, high)
end

-- by_wallets_alone tells whether there is no pack that may pay.
local function by_wallets_alone(groups)
  for i = 1, #groups do
    if groups[i].packs.text ~= ';' then return false end
  end
  return true
end

-- by_packs_alone lets the packs that go before the wallets pay all, if they can.
local function by_packs_alone(groups, with_held)
  if groups.by_packs == '-' then return false end
  for i = 1, #groups do
    local group = groups[i]
    if free_of(group.packs.before, with_held, group.total) < group.total then return false end
    group.covered = group.total
  end
  return true
end

-- share decides it where packs pay a part, line by line. Returns the fee.
local function share(groups, cash, with_held)
  local fee = 0
  for i = 1, #groups do
    local group = groups[i]
    uncover(group)
    local quantity = min(group.total, free_of(group.packs.before, with_held))
    if quantity > 0 then cover(group, quantity) end
    fee = fee + group.due
  end
  cash = max(0, cash)
  for i = 1, #groups do
    if fee <= cash then break end
    local group = groups[i]
    if #group.packs.after > 0 then
      local other = fee - group.due
      fee = other + cover_least(group, other, cash, with_held)
    end
  end
  return fee
end

-- price decides what packs cover and what is due in cash, where the wallets can give `cash`, with what was held or without.
-- A request that costs nothing draws on no pack. Returns the fee.
local function price(groups, cash, with_held)
  if groups.plain then return groups.fee end
  if not groups.lines then
    groups.booked = groups.in_cash
    if groups.fee == 0 or by_wallets_alone(groups) then return groups.fee end
    if by_packs_alone(groups, with_held) then
      groups.booked = groups.by_packs
      return 0
    end
    take_apart(groups)
  end
  groups.booked = nil
  return groups.fee == 0 and 0 or share(groups, cash, with_held)
end

-- draw takes up to `rest` units from the packs of ids, in this order, into list; it returns what is left to take.
local function draw(list, ids, rest)
  for i = 1, #ids do
    if rest == 0 then break end
    local pack = packs[ids[i]]
    local n = min(rest, pack.b - pack.h)
    if n > 0 then
      list[#list + 1] = {ids[i], n}
      rest = rest - n
    end
  end
  return rest
end

-- draws lists the packs that pay what price() decided, in the order in which they burn: {{id, quantity}, …}.
local function draws(groups)
  if #pack_order == 0 then return NONE end
  local list = {}
  for i = 1, #groups do
    local group = groups[i]
    draw(list, group.packs.after, draw(list, group.packs.before, group.covered))
  end
  return list
end

-- split lays a fee on the wallets: what each policy wants of bonus, then as little over or under that as it takes for
-- no wallet to fall below zero while both together can pay. What they cannot pay falls on recharge.
local function split(fee)
  local recharge, bonus = max(0, clamp(account.recharge)), max(0, clamp(account.bonus))
  local wanted
  if account.split == 'bonus_first' then
    wanted = fee
  elseif account.split == 'equal' then
    wanted = floor(fee / 2)
  elseif account.split == 'recharge_first' or recharge == 0 or bonus == 0 then
    wanted = 0
  else
    wanted = muldiv(fee, account.bonus, add(account.recharge, account.bonus), 0)
  end
  local from_bonus = min(max(wanted, fee - recharge), bonus)
  return fee - from_bonus, from_bonus
end

-- cash_free is what the wallets can give: balances and overdraft less what is held.
local function cash_free() return total(account.recharge, account.bonus, account.overdraft, negate(account.held)) end

-- The standing ends every reply of the data plane, one tab-separated string that Go takes apart: split, recharge, bonus,
-- held, free quantity of the fitting packs, whether there are any, and then the key's part (use.lua).
-- The packs shown are those of the token lines, if any fit, else those of the first unit that has some.
local function pack_standing(groups)
  if groups.plain then return '0\t0' end
  local shown
  for i = 1, #groups do
    local group = groups[i]
    if group.packs.text ~= ';' and (not shown or group.unit == 'token') then shown = group end
  end
  if not shown then return '0\t0' end
  return str(free_of(shown.packs.before) + free_of(shown.packs.after)) .. '\t1'
end

local function standing(groups, key_part)
  return account.split .. '\t' .. str(account.recharge) .. '\t' .. str(account.bonus) .. '\t' .. str(account.held) .. '\t' ..
    pack_standing(groups) .. '\t' .. key_part
end

