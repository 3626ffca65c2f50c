-- The newest quotes of one partition, written in one call. Commands of Redis 6.2 only.
--
-- KEYS[1]     the hash of the partition's progress
-- KEYS[2..]   the hash of each quote
-- ARGV[1]     the market's epoch
-- ARGV[2]     the topic's id and ARGV[3] the offset before which every message is in the quotes; "" where some may not be
-- ARGV[4]     "1" if the call has every instrument of the partition
-- ARGV[5]     the channel
-- ARGV[6..]   one for each quote, its parts between spaces: symbol, sequence, time, time_ns, price, variance, session, open,
--             high, low; the last four are - where the session's beginning is not known
--
-- A quote is replaced only by one with a greater (epoch, sequence), so replays and workers that lost their partition can't
-- move it back; one that stands without its session's open, high and low gets them. Epochs, sequences and offsets are below
-- 2^53, so Lua's doubles hold them exactly; time_ns is not, and is only passed on.
-- What was written is published, as JSON. Returns 1 if the progress is there, 0 if quotes may be missing (the server was
-- flushed): send all of the partition.

local function fields(key, ...)
    local held = redis.pcall('HMGET', key, ...)
    if held.err then -- somebody's, and no hash
        redis.call('DEL', key)
        return {}
    end
    return held
end

local epoch = tonumber(ARGV[1])
local parts = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'
local published = {}
for i = 2, #KEYS do
    local symbol, sequence, time, time_ns, price, variance, session, open, high, low = string.match(ARGV[i + 4], parts)
    local held = fields(KEYS[i], 'epoch', 'sequence', 'session')
    local held_epoch, held_sequence = tonumber(held[1] or '-1') or -1, tonumber(held[2] or '-1') or -1
    local newer = held_epoch < epoch or (held_epoch == epoch and held_sequence < tonumber(sequence))
    local fuller = held_epoch == epoch and held_sequence == tonumber(sequence) and not held[3] and session ~= '-'
    if newer or fuller then
        local text = '{"symbol":"' .. symbol .. '","sequence":' .. sequence .. ',"time":"' .. time .. '","price":' ..
            price .. ',"variance":' .. variance
        if session ~= '-' then
            redis.call('HSET', KEYS[i], 'epoch', ARGV[1], 'sequence', sequence, 'time', time, 'time_ns', time_ns,
                'price', price, 'variance', variance, 'session', session, 'open', open, 'high', high, 'low', low)
            text = text .. ',"session":"' .. session .. '","open":' .. open .. ',"high":' .. high .. ',"low":' .. low
        else
            redis.call('HSET', KEYS[i], 'epoch', ARGV[1], 'sequence', sequence, 'time', time, 'time_ns', time_ns,
                'price', price, 'variance', variance)
            if held[3] then
                redis.call('HDEL', KEYS[i], 'session', 'open', 'high', 'low')
            end
        end
        published[#published + 1] = text .. '}'
    end
end
if #published > 0 then
    redis.call('PUBLISH', ARGV[5], '{"epoch":' .. ARGV[1] .. ',"quotes":[' .. table.concat(published, ',') .. ']}')
end

local held = fields(KEYS[1], 'epoch', 'topic_id', 'next_offset')
if ARGV[3] ~= '' and (held[1] or ARGV[4] == '1') then
    local held_epoch = tonumber(held[1] or '-1') or -1
    local same = held_epoch == epoch and held[2] == ARGV[2]
    if held_epoch < epoch or (held_epoch == epoch and not same)
        or (same and (tonumber(held[3] or '-1') or -1) < tonumber(ARGV[3])) then
        redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'topic_id', ARGV[2], 'next_offset', ARGV[3])
    end
    return 1
end
return held[1] and 1 or 0
