-- pay.lua: who pays. Packs, wallets and holds of one account, for reserve, settle, release and sweep.
--
-- KEYS of these scripts:
--   [3] due       zset of the shard: "<account> <request id>", made long, by deadline, ms
--   [4] account   hash: status, split, overdraft, recharge, bonus, held, packs (how many were ever granted), …
--   [5] packs     hash: "<id>" definition, "<id>:b" remaining, "<id>:h" held, "<id>:x" seq of its revocation
--   [6] scope     hash: "<unit> <model>" -> "<id>:<expires>:<b|a> …", the packs that fit, in the order in which they
--                 burn (b before the wallets, a after). Filled here when missed, deleted by whatever changes the set
--                 of packs, so that a call costs the same however many packs the account has.
--   [7] keys      hash of all keys of the account, see use.lua
--   [8] holds     hash: "<request id>" the hold, "<request id>:c" its checkpoint
--   [9] marker    hash of one hour's request ids: the terminal answer of each (below). Written with the charge.
--
-- A hold is tab-separated: key, cash, tokens, placed, packs held ("p1=300,p2=5"), candidates, model, and blanks (see long).
-- Candidates are "unit=p1,p2;p3|unit=…": what fitted when the hold was placed, before; after the wallets. A settle may
-- draw on all of them, also when they have expired since.
-- A marker is space-separated: "c <seq> <digest>" charged, "r" released by its proxy, "x <candidates>" swept and given back,
-- "a <seq> <fee> <tokens> <day> <month> <key> <paid> <candidates>" swept and charged, less what an operator has refunded of
-- it, "u <seq> <candidates>" swept, charged, and refunded whole. '-' stands for nothing.

local SCOPE_LIMIT = 1000 -- entries of the scope cache; model names come from clients

-- load_account takes the account in hand; false when there is none. granted is how many packs it ever had, packs are those in
-- hand (below), keys likewise (use.lua).
local function load_account()
  account = work.accounts[ACCOUNT]
  if not account then
    local v = call('HMGET', ACCOUNT, 'status', 'split', 'overdraft', 'recharge', 'bonus', 'held', 'packs')
    if not v[1] then return false end
    local recharge, bonus, held = amount(v[4]), amount(v[5]), amount(v[6])
    account = {name = ACCOUNT, status = v[1], split = v[2], overdraft = amount(v[3]), recharge = recharge, bonus = bonus, held = held,
      granted = tonumber(v[7]), recharge_was = recharge, bonus_was = bonus, held_was = held, keys = {}, key_order = {},
      packs = NONE, pack_order = NONE, pack_hash = PACKS, scope = SCOPE, forgotten = false}
    work.accounts[ACCOUNT], work.order[#work.order + 1] = account, account
  end
  packs, pack_order = account.packs, account.pack_order
  return true
end

-- put_account writes the balances that changed.
local function put_account(of)
  if of.bonus ~= of.bonus_was then
    put_list(of.name, {'recharge', str(of.recharge), 'bonus', str(of.bonus), 'held', str(of.held)})
  elseif of.recharge ~= of.recharge_was then
    put_list(of.name, {'recharge', str(of.recharge), 'held', str(of.held)})
  elseif of.held ~= of.held_was then
    put_list(of.name, {'held', str(of.held)})
  end
  of.recharge_was, of.bonus_was, of.held_was = of.recharge, of.bonus, of.held
end

-- beyond tells whether a wallet would hold more than ±9e18.
local function beyond(balance) return clamp(add(balance, '-9000000000000000000')) > 0 end

-- matches tells whether name fits a pattern with * for any run of characters. Each piece between two stars is
-- looked for once, leftmost: linear, whatever the pattern.
local function matches(pattern, name)
  if not find(pattern, '*', 1, true) then return pattern == name end
  local head, rest = match(pattern, '^([^*]*)%*(.*)$')
  if sub(name, 1, #head) ~= head then return false end
  local at = #head + 1
  for piece in gmatch(rest, '([^*]*)%*') do
    if piece ~= '' then
      local from, to = find(name, piece, at, true)
      if not from then return false end
      at = to + 1
    end
  end
  local tail = match(rest, '[^*]*$')
  return #name - #tail + 1 >= at and sub(name, #name - #tail + 1) == tail
end

-- narrowness ranks the best of a pack's patterns (space-separated; '' is all models) for a model: exact name before
-- longer pattern before shorter before all; nil when none fits.
local function narrowness(patterns, model)
  if patterns == '' then return 0 end
  local best
  for pattern in gmatch(patterns, '%S+') do
    if matches(pattern, model) then
      local literal = #gsub(pattern, '%*', '')
      local rank = pattern == model and 1e6 or 1 + literal
      if not best or rank > best then best = rank end
    end
  end
  return best
end

local function burns_before(p, q)
  if p.priority ~= q.priority then return p.priority < q.priority end
  if p.expires ~= q.expires then return p.expires < q.expires end
  if p.narrow ~= q.narrow then return p.narrow > q.narrow end
  return p.number < q.number -- granted earlier: ids count up
end

-- Packs in hand: id -> {b = remaining, h = held}, numbers; x = whether it is revoked, over = whether its time has passed,
-- looked up for what comes back; why = why that goes again, if it did not come from a hold. pack_order lists their ids.
-- What becomes of the scope is in hand, too: account.fills are entries to add to it, unless account.forgotten says that it goes.

local pack_fields = memo(function(id) return {id .. ':b', id .. ':h'} end)

local expiry_of = memo(function(definition) return tonumber(match(definition, '^%S+\t%-?%d+\t(%d+)') or '0') end)

-- build_scope finds the packs for unit and model among all of the account, in the order in which they burn.
-- Left out are those that can never pay again unless something deletes the scope: used up, revoked. Those past their expiry
-- stay until they are swept, and so used up: whoever reads the scope goes by the clock, which may be set back. What is in hand
-- goes before what is in Redis: a refund in this very script may have filled a pack again.
local function build_scope(unit, model)
  local all, state, found = call('HGETALL', PACKS), {}, {}
  for i = 1, #all, 2 do state[all[i]] = all[i + 1] end
  for id, definition in pairs(state) do
    local of, priority, expires, order, patterns = match(definition, '^(%S+)\t(%-?%d+)\t(%d+)\t([ab])\t([^\t]*)')
    local used_up = packs[id] and packs[id].b == 0 or not packs[id] and state[id .. ':b'] == '0'
    if of == unit and not used_up and not state[id .. ':x'] then
      local narrow, ends = narrowness(patterns, model), tonumber(expires)
      if narrow then
        found[#found + 1] = {id = id, order = order, expires = ends == 0 and MAX or ends, priority = tonumber(priority),
          narrow = narrow, number = tonumber(sub(id, 2)), text = id .. ':' .. expires .. ':' .. order}
      end
    end
  end
  sort(found, burns_before)
  for i = 1, #found do found[i] = found[i].text end
  return concat(found, ' ')
end

-- Candidates are the packs that may pay: ids before and after the wallets, and the same as text, "p1,p2;p3". They are
-- shared by all calls, and never changed.
local read_candidates = memo(function(text)
  local list = {before = {}, after = {}, text = text}
  local before, after = match(text, '^([^;]*);(.*)$')
  for id in gmatch(before, 'p%d+') do list.before[#list.before + 1] = id end
  for id in gmatch(after, 'p%d+') do list.after[#list.after + 1] = id end
  return list
end)

local no_packs = {before = {}, after = {}, text = ';'}

-- read_scope parses an entry of the scope: its candidates, and when the first of them expires.
local read_scope = memo(function(text)
  local before, after, first = {}, {}, MAX
  for id, expires, order in gmatch(text, '(p%d+):(%d+):([ab])') do
    local list = order == 'b' and before or after
    list[#list + 1] = id
    if expires ~= '0' then first = min(first, tonumber(expires)) end
  end
  return {candidates = read_candidates(concat(before, ',') .. ';' .. concat(after, ',')), first = first}
end)

-- unexpired leaves out of a scope's entry what has expired.
local function unexpired(text)
  local left = {}
  for entry, expires in gmatch(text, '(p%d+:(%d+):[ab])') do
    if expires == '0' or tonumber(expires) > now then left[#left + 1] = entry end
  end
  return concat(left, ' ')
end

-- forget_scope lets the scope go at commit, with what was about to be added.
local function forget_scope() account.forgotten = true end

-- fill_scope adds an entry at commit.
local function fill_scope(field, text)
  if call('HLEN', SCOPE) >= SCOPE_LIMIT then return forget_scope() end
  local fills = account.fills or {}
  fills[#fills + 1], fills[#fills + 2] = field, text
  account.fills = fills
end

-- scope_of returns the candidates for unit and model that are valid now.
local function scope_of(unit, model)
  if account.granted == 0 then return no_packs end
  local field = unit .. ' ' .. model
  local text = not account.forgotten and call('HGET', SCOPE, field)
  if not text then
    text = build_scope(unit, model)
    fill_scope(field, text)
  end
  local scope = read_scope(text)
  if scope.first <= now then scope = read_scope(unexpired(text)) end
  return scope.candidates
end

-- load_packs reads the packs of a list of ids that are not in hand yet.
local function load_packs(ids)
  if #ids == 0 then return end
  if packs == NONE then
    packs, pack_order = {}, {}
    account.packs, account.pack_order = packs, pack_order
  end
  local fields, fresh = {}, {}
  for i = 1, #ids do
    local id = ids[i]
    if not packs[id] then
      packs[id] = {}
      local names, n = pack_fields(id), #fields
      fresh[#fresh + 1], fields[n + 1], fields[n + 2] = id, names[1], names[2]
    end
  end
  if #fresh == 0 then return end
  local values = call('HMGET', PACKS, unpack(fields))
  for i = 1, #fresh do
    local id, b, h = fresh[i], tonumber(values[2 * i - 1]), tonumber(values[2 * i])
    local pack = packs[id]
    pack.b, pack.h, pack.b0, pack.h0 = b, h, b, h
    pack_order[#pack_order + 1] = id
  end
end

-- fill_pack changes what remains of a pack in hand. One that is used up by that leaves the scope, and comes back into it when it
-- is filled again.
local function fill_pack(pack, by)
  if by == 0 then return end
  if pack.b == 0 or pack.b + by == 0 then forget_scope() end
  pack.b = pack.b + by
end

-- expel takes away at once, with an entry of its own, what has come back to packs that are revoked or past their expiry: those
-- have no free quantity.
local function expel()
  local back = account.came_back
  if not back then return end
  account.came_back = nil
  for i = 1, #back do
    local id = back[i]
    local pack = packs[id]
    local free = pack.b - pack.h
    if (pack.x or pack.over) and free > 0 then
      fill_pack(pack, -free)
      note(pack.x and 'revoke' or 'expire', {'a', owner, 'g', id, 'q', str(-free), 'v', pack.why or 'came back from a hold',
        'z', id .. '=' .. str(pack.b)})
    end
  end
end

-- put_packs writes the packs that changed.
local function put_packs(of)
  for i = 1, #of.pack_order do
    local id = of.pack_order[i]
    local pack = of.packs[id]
    if pack.b ~= pack.b0 then put(of.pack_hash, id .. ':b', str(pack.b)) end
    if pack.h ~= pack.h0 then put(of.pack_hash, id .. ':h', str(pack.h)) end
    pack.b0, pack.h0 = pack.b, pack.h
  end
end

-- put_scope writes what becomes of the scope.
local function put_scope(of)
  if of.forgotten then
    call('DEL', of.scope)
  elseif of.fills then
    put_list(of.scope, of.fills)
  end
  of.forgotten, of.fills = false, nil
end

-- group_of finds the group of a unit, or makes it.
local function group_of(groups, unit)
  for i = 1, #groups do
    if groups[i].unit == unit then return groups[i] end
  end
  local group = {unit = unit, total = 0, listed = 0, due = 0, covered = 0, packs = no_packs}
  groups[#groups + 1] = group
  return group
end

-- read_lines parses "unit quantity pico per amount" a line into groups by unit, in order of appearance.
local function read_lines(text)
  local groups, lines, group = {}, {}, nil
  for unit, quantity, pico, per, amount in gmatch(text, '(%S+) (%d+) (%d+) (%d+) (%d+)') do
    if not group or group.unit ~= unit then group = group_of(groups, unit) end
    quantity, amount = tonumber(quantity), tonumber(amount)
    local line = {quantity = quantity, pico = pico, per = per, amount = amount, covered = 0, cash = amount}
    group[#group + 1], lines[#lines + 1] = line, line
    group.total, group.listed = group.total + quantity, group.listed + amount
    group.due = group.listed
  end
  groups.lines = lines
  return groups
end

-- plain_groups are groups for a list of units, "token|call". One call at a time uses them.
local plain_groups = memo(function(units)
  local groups = {}
  for unit in gmatch(units, '[^|]+') do
    groups[#groups + 1] = {unit = unit, total = 0, listed = 0, due = 0, covered = 0, packs = no_packs}
  end
  return groups
end)

-- read_charge is read_lines, unless the account in hand never had a pack: of the lines nothing matters then but what they come
-- to, which `plain` says: "<fee> <units> <lines as the entry has them>" (plainLines in reserve.go).
local function read_charge(lines, plain)
  if account.granted ~= 0 then return read_lines(lines) end
  local fee, units, booked = match(plain, '^(%d+) (%S*) (%S*)$')
  local groups = plain_groups(units)
  groups.plain, fee = booked, tonumber(fee)
  if groups[1] then groups[1].listed, groups[1].due = fee, fee end
  return groups
end

-- read_held parses the candidates of a hold: lists by unit.
local read_held = memo(function(text)
  local known = {}
  for unit, list in gmatch(text, '([^=|]+)=([^|]*)') do known[unit] = read_candidates(list) end
  return known
end)

-- find_packs gives each group its candidates: those of the hold for units the hold knows, else by scope.
local function find_packs(groups, held, model)
  local known = held and read_held(held) or NONE
  for i = 1, #groups do
    local group = groups[i]
    group.packs = known[group.unit] or scope_of(group.unit, model)
    load_packs(group.packs.before)
    load_packs(group.packs.after)
  end
end

-- candidates_of writes down what find_packs found, for the hold; a unit without packs too, so that none granted later pays.
local function candidates_of(groups)
  if #groups == 1 then return groups[1].unit .. '=' .. groups[1].packs.text end
  local t = {}
  for i = 1, #groups do t[i] = groups[i].unit .. '=' .. groups[i].packs.text end
  return concat(t, '|')
end

-- uncover takes back what cover has laid on packs.
local function uncover(group)
  if group.covered == 0 then return end
  for i = 1, #group do group[i].covered, group[i].cash = 0, group[i].amount end
  group.covered, group.due = 0, group.listed
end

-- cover lets packs pay for `quantity` units of a group: each line's share by cumulative floors, so that the shares
-- add up, and what is left of a line priced anew, rounded half up. Returns the cash then due for the group.
local function cover(group, quantity)
  local sum, upto_before, due = 0, 0, 0
  for i = 1, #group do
    local line = group[i]
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

-- free_of adds up what a list of packs can give; with_held: as if nothing were held.
local function free_of(ids, with_held)
  local sum = 0
  for i = 1, #ids do
    local pack = packs[ids[i]]
    sum = sum + max(0, with_held and pack.b or pack.b - pack.h)
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

-- price decides what packs cover and what is due in cash, where the wallets can give `cash`.
-- A request that costs nothing draws on no pack. Returns the fee.
local function price(groups, cash, with_held)
  local listed = 0
  for i = 1, #groups do
    uncover(groups[i])
    listed = listed + groups[i].listed
  end
  if listed == 0 then return 0 end
  local fee = 0
  for i = 1, #groups do
    local group = groups[i]
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

-- draw takes up to `rest` units from the packs of ids, in this order, into list; it returns what is left to take.
local function draw(list, ids, rest)
  for i = 1, #ids do
    if rest == 0 then break end
    local pack = packs[ids[i]]
    local n = min(rest, max(0, pack.b - pack.h))
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
  elseif account.split == 'recharge_first' then
    wanted = 0
  elseif account.split == 'equal' then
    wanted = floor(fee / 2)
  elseif recharge == 0 or bonus == 0 then
    wanted = bonus == 0 and 0 or fee
  else
    wanted = muldiv(fee, account.bonus, add(account.recharge, account.bonus), 0)
  end
  local from_bonus = min(max(wanted, fee - recharge), bonus)
  return fee - from_bonus, from_bonus
end

-- cash_free is what the wallets can give: balances and overdraft less what is held.
local function cash_free() return total(account.recharge, account.bonus, account.overdraft, negate(account.held)) end

-- pairs_of parses "p1=300,p2=5" into {{id, quantity}, …}.
local function pairs_of(text)
  if text == '' then return NONE end
  local list = {}
  for id, n in gmatch(text, '([%w]+)=(%d+)') do list[#list + 1] = {id, tonumber(n)} end
  return list
end

local function text_of(list)
  if #list == 0 then return '' end
  local t = {}
  for i = 1, #list do t[i] = list[i][1] .. '=' .. str(list[i][2]) end
  return concat(t, ',')
end

-- read_hold parses a hold.
local function read_hold(text)
  local key, cash, tokens, placed, held, candidates, model =
    match(text, '^([^\t]*)\t(%d+)\t(%d+)\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)')
  return {key = key, cash = tonumber(cash), tokens = tonumber(tokens), placed = placed, packs = pairs_of(held),
    candidates = candidates, model = model}
end

-- returning takes packs in hand to which something comes back: {{id, quantity}, …}.
local function returning(list, why)
  if #list == 0 then return end
  local ids, fields, back = {}, {}, account.came_back or {}
  for i = 1, #list do
    local id = list[i][1]
    ids[i], back[#back + 1], fields[2 * i - 1], fields[2 * i] = id, id, id, id .. ':x'
  end
  load_packs(ids)
  local values = call('HMGET', PACKS, unpack(fields))
  for i = 1, #ids do
    local pack, expires = packs[ids[i]], expiry_of(values[2 * i - 1] or '')
    pack.x, pack.over, pack.why = values[2 * i], expires ~= 0 and expires <= now, why
  end
  account.came_back = back
end

-- give_back takes a hold off what is held, in hand.
local function give_back(hold)
  account.held = add(account.held, -hold.cash)
  returning(hold.packs)
  for i = 1, #hold.packs do
    local pack = packs[hold.packs[i][1]]
    pack.h = pack.h - hold.packs[i][2]
  end
end

-- due_member is the request in the list of what is due.
local function due_member() return long(owner .. ' ' .. request) end

-- close_hold removes a hold.
local function close_hold()
  drop(HOLDS, request, request .. ':c')
  is_gone(due_member())
end

-- mark writes the terminal answer of the request. Its bucket lives on for ttl, ms, at least.
local function mark(answer, ttl)
  put(MARKER, request, answer)
  work.lives[MARKER] = ttl
end

-- The standing ends every reply of the data plane, one tab-separated string that Go takes apart: split, recharge, bonus,
-- held, free quantity of the fitting packs, whether there are any, and then the key's part (use.lua).
-- The packs shown are those of the token lines, if there are any, else those of the first line's unit.
local function pack_standing(groups)
  local shown
  for i = 1, #groups do
    if not shown or groups[i].unit == 'token' then shown = groups[i] end
  end
  if not shown or shown.packs.text == ';' then return '0\t0' end
  return str(free_of(shown.packs.before) + free_of(shown.packs.after)) .. '\t1'
end

local function standing(groups, key_part)
  return account.split .. '\t' .. str(account.recharge) .. '\t' .. str(account.bonus) .. '\t' .. str(account.held) .. '\t' ..
    pack_standing(groups) .. '\t' .. key_part
end
