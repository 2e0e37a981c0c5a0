-- lib.lua: what every script shares.
--
-- A script is a file that ends in `return main`, where main returns the reply. In Redis all of them are functions of one
-- library, which is compiled once and stays in the server's memory: what is outside of main is made once and not at each
-- call, and a local that a call leaves set, the next call finds. So begin() clears what belongs to one call.
--
-- KEYS of every script (all in the slot of one shard, tag {tg<n>}):
--   [1] meta      hash: id (the ledger's identity), seq (the journal's head), epoch (how often the shard was recovered), and
--                 whatever else ../keys.go lists
--   [2] journal   stream with dense ids <seq>-0
-- ARGV of every script:
--   [1] the ledger's identity   [2] "<epoch> <seq>", the highest the caller has seen here   [3] clock offset, ms (0 but in tests)
-- and, where it is about an account, [4] the account, and where about a request, [5] its id.
--
-- Units: money is nano (1e-9), quantities are whole units, times are ms since 1970, days and months are numbers.
--
-- Output of every script: an array of strings whose first is the outcome and whose second is the shard's seq.
--   AWAY, 0, why: this shard is not what the caller knows: no meta, another ledger's, or gone back in time.
--   EPOCH, seq, epoch: the shard has been recovered since the caller looked; seq may be below what it has seen.

local MAX = 9007199254740991 -- 2^53 - 1
local MEMO_LIMIT = 100       -- texts of which one memo keeps what they mean: more would cost Lua's collector more than it spares
local MOST_ARGS = 4000       -- that a command is given at once: Lua's stack does not take 8000. It is even: fields come with values

-- What Lua and Redis offer. A library does not see it while it is being loaded: wake() names it before the first call.
local floor, ceil, min, max, format, match, gmatch, gsub, find, rep, sub, concat, sort, call
local tonumber, type, unpack, pairs, ipairs

local function wake()
  floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
  format, match, gmatch, gsub = string.format, string.match, string.gmatch, string.gsub
  find, rep, sub, concat, sort, call = string.find, string.rep, string.sub, table.concat, table.sort, redis.call
  tonumber, type, unpack, pairs, ipairs = _G.tonumber, _G.type, _G.unpack, _G.pairs, _G.ipairs
end

local NONE = {} -- an empty list; nobody adds to it

-- The trip in hand: set by set_out() and enter().
local works, work_order         -- what is to be written, by META, and in the order in which the shards came up
local now                       -- Redis's clock
local wide                      -- whether an amount is text: then sums must look at what they add
local found                     -- what has been looked up ahead, by key and field: see look()

-- The call in hand: set by begin() and enter(), and by the load_… functions of the other parts.
local KEYS, keys_from, ARGV, META, JOURNAL, DUE, ACCOUNT, PACKS, SCOPE, KEYRING, HOLDS, MARKER
local owner, request
local work, seq                 -- of its shard: see enter(), and the journal's head
local account, key              -- see account.lua, use.lua
local packs, pack_order         -- see account.lua

-- set_out begins a trip.
local function set_out()
  works, work_order, now, wide, found = {}, {}, nil, false, NONE
end

-- begin takes a call in hand. Its keys stand behind the first `from` of keys; often they are those of the call before.
local function begin(keys, from, argv)
  if keys ~= KEYS or from ~= keys_from then
    META, JOURNAL, DUE, ACCOUNT, PACKS, SCOPE, KEYRING, HOLDS, MARKER = unpack(keys, from + 1, from + 9)
    KEYS, keys_from = keys, from
  end
  ARGV, owner, request = argv, argv[4], argv[5]
  account, key, packs, pack_order = nil, nil, NONE, NONE
end

-- memo keeps what make(text) returned: of functions that depend on nothing but that text.
local function memo(make)
  local known, count = {}, 0
  return function(text)
    local value = known[text]
    if value == nil then
      if count == MEMO_LIMIT then known, count = {}, 0 end
      value = make(text)
      known[text], count = value, count + 1
    end
    return value
  end
end

-- long makes a text longer than 64 bytes, by blanks. Redis keeps up to some hundred short texts in a list, and looks through
-- that from its start: calls in flight would cost each other time.
local SPACES = '                                                                 '
local function long(text)
  if #text >= #SPACES then return text end
  return text .. sub(SPACES, #text + 1)
end

