#!lua flags=allow-oom
-- settle.lua: a hold is replaced by the charge.
--
-- Idea: the upstream has been paid for by then, so the charge is always booked, whole: above the hold (the overrun is
-- journaled), without a hold, after the sweeper gave it back, and after the sweeper charged it, in which case that charge
-- is taken back first. Never twice: marker, entry and balances are written together, and a repeat returns the first entry.
-- Memory limits do not stop it: admission is where a full Redis must stop.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and pay.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] key suffix or ''; [7] model; [8] static JSON; [9] digest of the
--       content; [10] lines of the charge; [11] tokens; [12] the zone's offset, s; [13] time in the request id, ms;
--       [14] life of a marker, ms; [15] who paid when it was booked before, see as_told in charge.lua, or ''
-- Output: OK, seq, standing, entry seq, entry fields … (without s, which the caller has)
--         SAME, seq, standing, entry seq, entry fields …     CONFLICT, seq, marker     LOST, seq (no such account)
--         OLD, seq (whether it has been booked cannot be known here any more)

local owner, request, suffix, model, offset = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[12]

-- repeated answers for a request that has ended in a charge of the same content, with today's standing.
local function repeated(entry_seq)
  local reply = {'SAME', str(seq), '', entry_seq, unpack(entry_at(entry_seq) or {})}
  load_account()
  load_key(suffix, offset)
  local groups = read_lines(ARGV[10])
  find_packs(groups, nil, model)
  reply[3] = standing(groups, key_standing())
  return reply
end

local function book(hold, marker)
  local abandon = marker and read_abandon(marker)
  if not in_hand(hold, abandon and abandon.key ~= '-' and abandon.key or suffix, offset) then return {'LOST', str(seq)} end
  if abandon then take_back(abandon, owner, request, 'settled after it had been abandoned') end
  local candidates = hold and hold.candidates or abandon and abandon.candidates or marker and (match(marker, '^x (%S+)$') or match(marker, '^u %d+ (%S+)$'))
  local groups = read_lines(ARGV[10])
  find_packs(groups, candidates, model)
  local entry_seq, _, _, fields = charge('charge', owner, request, hold, ARGV[8], groups, tonumber(ARGV[11]),
    ARGV[15] ~= '' and ARGV[15] or nil, {'d', ARGV[9]})
  finish(owner)
  close_hold(owner, request)
  mark(request, 'c ' .. str(entry_seq) .. ' ' .. ARGV[9], ARGV[14])
  return {'OK', str(seq), standing(groups, key_standing()), str(entry_seq), 't', 'charge', 'm', str(now), unpack(fields)}
end

local function settle()
  local marker = call('HGET', MARKER, request)
  if marker then
    local entry_seq, digest = match(marker, '^c (%d+) (%S+)$')
    if entry_seq and digest == ARGV[9] then return repeated(entry_seq) end
    if entry_seq or marker == 'r' then return {'CONFLICT', str(seq), marker} end
  end
  local hold = call('HGET', HOLDS, request)
  if not hold and not marker and now - tonumber(ARGV[13]) > tonumber(ARGV[14]) then return {'OLD', str(seq)} end
  return book(hold and read_hold(hold), marker)
end

local away = enter()
if away then return away end
return settle()
