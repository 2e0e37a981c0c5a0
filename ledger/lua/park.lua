#!lua flags=allow-oom
-- park.lua: a call has brought a task, whose end is asked for later: its hold stands until then, and the task is remembered as
-- the account's.
--
-- Idea: the hold gets the task's id, a deadline of its own, and as its checkpoint what is to be charged if nobody ever asks. It
-- counts as held, and no more as a request in flight. What is remembered of the task outlives the hold: no money hangs on it,
-- so it goes by a TTL. Where the hold is gone and nobody knows of an end (Redis has lost it, or it was swept before its task's
-- time was over), one is placed anew, by the lines of the checkpoint and without asking what is free: the upstream is at work.
-- Run again, it changes nothing, unless there is more to be charged if nobody asks.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua; [10] object: hash of an object's id, see object.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] life of a task, ms; [7] tokens; [8] lines; [9] static JSON;
--       [10] the task's id; [11] what is remembered of it; [12] for how long, ms; [13] key suffix; [14] model; [15] the zone's
--       offset, s; [16] what the lines come to, see read_charge; [17] time in the request id, ms; [18] life of a marker, ms
-- Output: OK, seq     SAME, seq (it stood, or the request has ended)     LOST, seq (no such account)
--         TAKEN, seq, request id (the task is that one's)     OLD, seq (whether it has ended cannot be known here any more)

-- check keeps what is to be charged if nobody asks, and until when that may be.
local function check(life)
  put(HOLDS, request .. ':c', ARGV[7] .. '\t' .. ARGV[8] .. '\t' .. ARGV[9])
  comes_due(str(now + life), due_member())
end

-- raise keeps what has been told of a task before its end, if that is more than what was kept.
local function raise()
  local tokens = tonumber(match(look(HOLDS, request .. ':c') or '', '^%d+')) or 0
  if tonumber(ARGV[7]) <= tokens then return false end
  put(HOLDS, request .. ':c', ARGV[7] .. '\t' .. ARGV[8] .. '\t' .. ARGV[9])
  return true
end

-- keep turns a hold into its task's.
local function keep(text)
  local hold = read_hold(text)
  if hold.task ~= '' then return raise() end
  if load_key(hold.key, ARGV[15]) then key_lands() end
  put(HOLDS, request, long(match(text, '^(.*\t)[^\t]*$') .. ARGV[10]))
  check(tonumber(ARGV[6]))
  return true
end

-- place_anew places a hold of a task that has none.
local function place_anew(left)
  local groups, tokens = read_charge(ARGV[8], ARGV[16]), tonumber(ARGV[7])
  find_packs(groups, nil, ARGV[14])
  local fee = price(groups, cash_free())
  local drawn = draws(groups)
  account.held = add(account.held, fee)
  for i = 1, #drawn do
    local pack = packs[drawn[i][1]]
    pack.h = pack.h + drawn[i][2]
  end
  if load_key(ARGV[13], ARGV[15]) then
    key_holds(fee, tokens)
    key_lands()
  end
  put(HOLDS, request, long(ARGV[13] .. '\t' .. str(fee) .. '\t' .. str(tokens) .. '\t' .. str(now) .. '\t' .. text_of(drawn) .. '\t' ..
    candidates_of(groups) .. '\t' .. ARGV[14] .. '\t' .. ARGV[10]))
  check(left)
  return true
end

-- reopen takes back what was charged of a call that was swept when nothing of it had been delivered: an entry of nothing.
local function reopen(marker)
  local abandon = read_abandon(marker)
  if not abandon or #abandon.paid > 0 then return marker end
  load_key(abandon.key, ARGV[15])
  take_back(abandon, 'brought a task after it had been abandoned')
  marker = 'x ' .. abandon.candidates
  mark(marker, tonumber(ARGV[18]))
  return marker
end

-- stand sees to it that there is a hold as long as there should be one; false: there is nothing to do.
local function stand()
  local text, marker = look(HOLDS, request), look(MARKER, request)
  if text then return keep(text) end
  local left = tonumber(ARGV[6]) - max(0, now - tonumber(ARGV[17]))
  if marker and left > 0 then marker = reopen(marker) end
  if not marker or sub(marker, 1, 2) == 'x ' and left > 0 then return place_anew(left) end
  return false
end

local function park()
  local field = owner .. ' ' .. ARGV[10]
  if not load_account() then return {'LOST', str(seq)} end
  local of = match(call('HGET', KEYS[10], field) or '', '^(%S+)')
  if of and of ~= request then return {'TAKEN', str(seq), of} end
  if not look(HOLDS, request) and not look(MARKER, request) and now - tonumber(ARGV[17]) > tonumber(ARGV[18]) then return {'OLD', str(seq)} end
  local outcome = stand() and 'OK' or 'SAME'
  finish()
  call('HSET', KEYS[10], field, ARGV[11])
  call('PEXPIRE', KEYS[10], ARGV[12])
  return {outcome, str(seq)}
end

return park
