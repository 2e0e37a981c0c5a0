-- lines.lua: what is to be paid: the lines of a quote or a charge.
--
-- Idea: of most charges nobody needs the lines, because wallets pay all, or packs do. What they are then as the entry has them, Go
-- says beforehand, in a summary (../lines.go). They are taken apart where packs pay a part.
--
-- In hand is a list of groups, one for each unit in the order in which the units appear: {unit, total quantity, packs that may pay,
-- quantity covered by them}. Beside the groups it has
--   fee      at list price           in_cash, by_packs  its lines as the entry has them if wallets, or packs, pay all
--   text     the lines               lines              the same taken apart; each group has its own then, what they come to and what is due
--   booked   its lines as the entry has them, as price() decided; nil: what was laid on `lines`
--   plain    true for an account that never had a pack

-- group_of finds the group of a unit, or makes it.
local function group_of(groups, unit)
  for i = 1, #groups do
    if groups[i].unit == unit then return groups[i] end
  end
  local group = {unit = unit, packs = no_packs, lines = {}, total = 0, listed = 0, due = 0, covered = 0}
  groups[#groups + 1] = group
  return group
end

-- read_into parses lines, "unit quantity pico per amount" each, into groups.
local function read_into(groups, text)
  local lines, fee, group = {}, 0, nil
  for unit, quantity, pico, per, amount in gmatch(text, '(%S+) (%d+) (%d+) (%d+) (%d+)') do
    if not group or group.unit ~= unit then group = group_of(groups, unit) end
    quantity, amount = tonumber(quantity), tonumber(amount)
    local line = {quantity = quantity, pico = pico, per = per, amount = amount, covered = 0, cash = amount}
    group.lines[#group.lines + 1], lines[#lines + 1] = line, line
    group.total, group.listed, fee = group.total + quantity, group.listed + amount, fee + amount
    group.due = group.listed
  end
  groups.lines, groups.fee = lines, fee
  return groups
end

-- read_lines takes a charge in hand of which there is no summary.
local function read_lines(text) return read_into({}, text) end

-- take_apart reads the lines of a charge whose summary is in hand.
local function take_apart(groups)
  for i = 1, #groups do
    local group = groups[i]
    group.lines, group.total, group.listed, group.due, group.covered = {}, 0, 0, 0, 0
  end
  read_into(groups, groups.text)
end

-- lines_text is what each line came to, and what packs covered of it.
local function lines_text(lines)
  local t = {}
  for i = 1, #lines do t[i] = str(lines[i].cash) .. ':' .. str(lines[i].covered) end
  return concat(t, ',')
end

-- candidates_of writes down what find_packs found, for the hold; a unit without packs too, so that none granted later pays.
local function candidates_of(groups)
  if groups.candidates then return groups.candidates end
  if #groups == 1 then return groups[1].unit .. '=' .. groups[1].packs.text end
  local t = {}
  for i = 1, #groups do t[i] = groups[i].unit .. '=' .. groups[i].packs.text end
  return concat(t, '|')
end

-- groups_for makes groups for a list of units, "token|call". One call at a time uses them; plain ones have no packs.
local function groups_for(units)
  local groups = {}
  for unit in gmatch(units, '[^|]+') do groups[#groups + 1] = {unit = unit, packs = no_packs} end
  return groups
end

local known_groups = memo(groups_for)

local plain_groups = memo(function(units)
  local groups = groups_for(units)
  groups.plain, groups.candidates = true, candidates_of(groups)
  return groups
end)

-- read_charge takes a charge in hand for the account in hand, by its summary: "<fee> <units> <lines if wallets pay all> <total
-- quantities by unit> <lines if packs pay all, or '-'>".
local function read_charge(lines, summary)
  if account.granted == 0 then
    local fee, units, in_cash = match(summary, '^(%d+) (%S*) (%S*)')
    local groups = plain_groups(units)
    groups.fee, groups.booked = tonumber(fee), in_cash
    return groups
  end
  local fee, units, in_cash, totals, by_packs = match(summary, '^(%d+) (%S*) (%S*) (%S*) (%S*)$')
  local groups, i = known_groups(units), 0
  groups.fee, groups.in_cash, groups.by_packs, groups.text, groups.lines = tonumber(fee), in_cash, by_packs, lines, nil
  for total in gmatch(totals, '%d+') do
    i = i + 1
    groups[i].total, groups[i].covered = tonumber(total), 0
  end
  return groups
end

