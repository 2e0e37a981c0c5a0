-- account.lua: an account in hand: its wallets and its packs.
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
--   [9] marker    hash of one hour's request ids: the terminal answer of each (hold.lua). Written with the charge.

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
      packs = NONE, pack_order = NONE, pack_hash = PACKS, scope = SCOPE, scopes = NONE, loaded = NONE, forgotten = false}
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
-- looked up for what comes back; why = why that goes again, if it did not come from a hold; stays = what was free before. pack_order lists their ids.
-- What becomes of the scope is in hand, too: account.fills are entries to add to it, unless account.forgotten says that it goes.
-- account.scopes are the candidates by unit and model that have been looked up already, account.loaded are those whose packs are
-- in hand.

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
local function forget_scope() account.forgotten, account.scopes = true, NONE end

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
  local candidates = account.scopes[field]
  if candidates then return candidates end
  local text = not account.forgotten and call('HGET', SCOPE, field)
  if not text then
    text = build_scope(unit, model)
    fill_scope(field, text)
  end
  local scope = read_scope(text)
  if scope.first <= now then scope = read_scope(unexpired(text)) end
  if account.scopes == NONE then account.scopes = {} end
  account.scopes[field] = scope.candidates
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
  local values = look_at_all(PACKS, fields)
  for i = 1, #fresh do
    local id, b, h = fresh[i], tonumber(values[2 * i - 1]), tonumber(values[2 * i])
    local pack = packs[id]
    pack.b, pack.h, pack.b0, pack.h0 = b, h, b, h
    pack_order[#pack_order + 1] = id
  end
end

-- load_candidates reads the packs of candidates.
local function load_candidates(candidates)
  if account.loaded[candidates] then return end
  if account.loaded == NONE then account.loaded = {} end
  account.loaded[candidates] = true
  load_packs(candidates.before)
  load_packs(candidates.after)
end

-- fill_pack changes what remains of a pack in hand. One that is used up by that leaves the scope, and comes back into it when it
-- is filled again.
local function fill_pack(pack, by)
  if by == 0 then return end
  if pack.b == 0 or pack.b + by == 0 then forget_scope() end
  pack.b = pack.b + by
end

-- expel takes away at once, with an entry of its own, what has come back to packs that are revoked or past their expiry, and is
-- free still.
local function expel()
  local back = account.came_back
  if not back then return end
  account.came_back = nil
  for i = 1, #back do
    local id = back[i]
    local pack = packs[id]
    local free = pack.b - pack.h - (pack.stays or 0)
    pack.stays = nil
    if free > 0 then
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

