-- hold.lua: what is held for a request, and how it ended.
--
-- A hold is tab-separated: key, cash, tokens, placed, packs held ("p1=300,p2=5"), candidates, model, task, and blanks (see long).
-- The task is the upstream's id of what the call has brought, if that is asked for later (park.lua): such a hold is held as any
-- other, but its call is not in flight.
-- Candidates are "unit=p1,p2;p3|unit=…": what fitted when the hold was placed, before; after the wallets. A settle may
-- draw on all of them, also when they have expired since.
-- A marker is space-separated: "c <seq> <digest>" charged, "r" released by its proxy, "x <candidates>" swept and given back,
-- "a <seq> <fee> <tokens> <day> <month> <key> <paid> <candidates>" swept and charged, less what an operator has refunded of
-- it, "u <seq> <candidates>" swept, charged, and refunded whole. '-' stands for nothing.

-- pairs_of parses "p1=300,p2=5" into {{id, quantity}, …}.
local function pairs_of(text)
  if text == '' then return NONE end
  local list = {}
  for id, n in gmatch(text, '([%w]+)=(%d+)') do list[#list + 1] = {id, tonumber(n)} end
  return list
end

local function text_of(list)
  if #list == 0 then return '' end
  local text = list[1][1] .. '=' .. str(list[1][2])
  for i = 2, #list do text = text .. ',' .. list[i][1] .. '=' .. str(list[i][2]) end
  return text
end

-- read_hold parses a hold.
local function read_hold(text)
  local key, cash, tokens, held, candidates, model, task =
    match(text, '^([^\t]*)\t(%d+)\t(%d+)\t%d+\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(%S*)')
  return {key = key, cash = tonumber(cash), tokens = tonumber(tokens), packs = pairs_of(held), candidates = candidates, model = model,
    task = task}
end

-- look_back takes packs in hand, and whether they are revoked or past their expiry.
local function look_back(list)
  local ids, fields = {}, {}
  for i = 1, #list do ids[i], fields[2 * i - 1], fields[2 * i] = list[i][1], list[i][1], list[i][1] .. ':x' end
  load_packs(ids)
  local values = look_at_all(PACKS, fields)
  for i = 1, #ids do
    local pack, expires = packs[ids[i]], expiry_of(values[2 * i - 1] or '')
    pack.x, pack.over = values[2 * i], expires ~= 0 and expires <= now
  end
end

-- returning takes packs in hand to which something comes back: {{id, quantity}, …}. Those that must not keep it, expel() finds.
-- What was free before of a pack past its expiry stays to the sweeper, who knows when: it may have been told to those who are
-- replayed yet.
local function returning(list, why)
  for i = 1, #list do
    local pack = packs[list[i][1]]
    if not pack or pack.over == nil then
      look_back(list)
      break
    end
  end
  for i = 1, #list do
    local id = list[i][1]
    local pack = packs[id]
    if pack.x or pack.over then
      local back = account.came_back or {}
      back[#back + 1], pack.why, account.came_back = id, why, back
      pack.stays = pack.stays or max(0, pack.b - pack.h)
    end
  end
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

