#!lua flags=allow-oom
-- settle.lua: a hold is replaced by the charge.
--
-- Idea: the upstream has been paid for by then, so the charge is always booked, whole: above the hold (the overrun is
-- journaled), without a hold, after the sweeper gave it back, and after the sweeper charged it, in which case that charge
-- is taken back first. Never twice: marker, entry and balances are written together, and a repeat returns the first entry.
-- Memory limits do not stop it: admission is where a full Redis must stop.
--
-- KEYS: [1] meta … [9] marker, see lib.lua and account.lua
-- ARGV: [1..3] see lib.lua; [4] account; [5] request id; [6] key suffix or ''; [7] model; [8] static JSON; [9] digest of the
--       content; [10] lines of the charge; [11] tokens; [12] the zone's offset, s; [13] time in the request id, ms;
--       [14] life of a marker, ms; [15] who paid when it was booked before, see as_told in charge.lua, or '';
--       [16] what the lines come to, see read_charge; [17] what the account has made by it, lines of "<id> <what is remembered of it>"
-- Output: OK, seq, standing, entry seq, what of the entry the caller cannot know: its fields m k f l p z h o, tab-separated
--         SAME, seq, standing, entry seq, entry fields …     CONFLICT, seq, marker     LOST, seq (no such account)
--         OLD, seq (whether it has been booked cannot be known here any more)

-- repeated answers for a request that has ended in a charge of the same content, with today's standing.
local function repeated(entry_seq)
  local reply = {'SAME', str(seq), '', entry_seq, unpack(entry_at(entry_seq) or {})}
  load_account()
  load_key(ARGV[6], ARGV[12])
  local groups = read_charge(ARGV[10], ARGV[16])
  find_packs(groups, nil, ARGV[7])
  reply[3] = standing(groups, key_standing())
  return reply
end

-- keep remembers what the account has made by the call, as long as how it ended, and where that is.
local function keep(made)
  for id, memory in gmatch(made, '(%S+) ([^\n]+)') do put(MARKER, owner .. ' ' .. id, memory) end
end

-- held_candidates are the packs that fitted when the hold was placed, by what is left of it.
local function held_candidates(hold, abandon, marker)
  if hold then return hold.candidates end
  if abandon then return abandon.candidates end
  return marker and (match(marker, '^x (%S+)$') or match(marker, '^u %d+ (%S+)$'))
end

local function book(hold, marker)
  local abandon = marker and read_abandon(marker)
  if not in_hand(hold, abandon and abandon.key ~= '-' and abandon.key or ARGV[6], ARGV[12]) then return {'LOST', str(seq)} end
  if abandon then take_back(abandon, 'settled after it had been abandoned') end
  local groups = ARGV[15] == '' and read_charge(ARGV[10], ARGV[16]) or read_lines(ARGV[10])
  find_packs(groups, held_candidates(hold, abandon, marker), ARGV[7])
  local n, _, _, booked = charge('charge', hold, ARGV[8], groups, tonumber(ARGV[11]), ARGV[15], 'd', ARGV[9])
  local entry_seq = str(n)
  expel()
  if hold then close_hold() end
  mark('c ' .. entry_seq .. ' ' .. ARGV[9], tonumber(ARGV[14]))
  if ARGV[17] ~= '' then keep(ARGV[17]) end
  return {'OK', str(seq), standing(groups, key_standing()), entry_seq, str(now) .. '\t' .. booked}
end

local function settle()
  local marker = look(MARKER, request)
  if marker then
    local entry_seq, digest = match(marker, '^c (%d+) (%S+)$')
    if entry_seq and digest == ARGV[9] then return repeated(entry_seq) end
    if entry_seq or marker == 'r' then return {'CONFLICT', str(seq), marker} end
  end
  local hold = look(HOLDS, request)
  if not hold and not marker and now - tonumber(ARGV[13]) > tonumber(ARGV[14]) then return {'OLD', str(seq)} end
  return book(hold and read_hold(hold), marker)
end

return settle
