#!lua flags=allow-oom
-- recover.lua: a shard's recovery begins and ends with this. Beside putback.lua it is the only script that is loaded before
-- a server has been found right; neither books anything that the archive has not.
--
-- Idea: who recovers has raised the shard's epoch in the archive, which nobody else can then raise to the same. It is the
-- token of the recovery: written here first, and both scripts refuse whoever comes with an older one.
--
-- KEYS: [1] meta [2] journal, see lib.lua
-- ARGV: [1] the ledger's identity; [2] epoch; [3] the archive's identity; [4] the archive's head; [5] begin or end
-- Output: OK, seq, seq of the first entry or 0, watermark, entry seq, entry fields …: of the last entry that both should have
--         AWAY, 0, why     LATE, epoch (another has begun since)

local meta = call('HMGET', META, 'id', 'seq', 'epoch', 'archive', 'archived')
if not meta[1] or not meta[2] then return {'AWAY', '0', 'the shard is empty: its meta is gone'} end
if meta[1] ~= ARGV[1] then return {'AWAY', '0', 'the shard belongs to another ledger'} end
if meta[4] and meta[4] ~= ARGV[3] then return {'AWAY', '0', 'the shard is archived elsewhere'} end
local epoch, mine = tonumber(meta[3] or '0'), tonumber(ARGV[2])
if epoch > mine or ARGV[5] == 'end' and epoch ~= mine then return {'LATE', meta[3]} end

local time = call('TIME')
call('HSET', META, 'epoch', ARGV[2], 'archive', ARGV[3], 'recovered', time[1] .. '000')
if tonumber(ARGV[4]) > tonumber(meta[5] or '0') then call('HSET', META, 'archived', ARGV[4]) end
if ARGV[5] == 'end' then call('HDEL', META, 'recovering') end
local first = call('XRANGE', JOURNAL, '-', '+', 'COUNT', '1')[1]
local shared = str(min(tonumber(meta[2]), tonumber(ARGV[4])))
return {'OK', meta[2], first and match(first[1], '^(%d+)') or '0', meta[5] or '0', shared, unpack(entry_at(shared) or {})}
