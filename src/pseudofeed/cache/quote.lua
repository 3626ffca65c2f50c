-- The newest quotes of one partition, written in one call. Commands of Redis 6.2 only.
--
-- KEYS[1]     the hash of the partition's progress
-- KEYS[2..]   the hash of each quote
-- ARGV[1]     the market's epoch
-- ARGV[2]     the topic's id and ARGV[3] the offset before which every message is in the quotes; "" where some may not be
-- ARGV[4]     "1" if the call has every instrument of the partition
-- ARGV[5]     the channel
-- ARGV[6], ARGV[7]   the lowest and the highest sequence in this call; 0 where it has no quotes
-- ARGV[8]     the quotes, MessagePack (csrc/encode/quotes.h): ten texts each, sequence, time, time_ns, price, variance, session,
--             open, high, low, the four last being "-" where the session's beginning is not known, and the length of its JSON
-- ARGV[9]     the quotes as JSON, a comma between two
--
-- A quote is replaced only by one with a greater (epoch, sequence), so replays and workers that lost their partition can't
-- move it back; one that stands without its session's open, high and low gets them. The progress has the highest sequence of
-- all quotes, where that is known: what is above it needs no look at each quote, half of the time. Epochs, sequences and
-- offsets are below 2^53, so Lua's doubles hold them exactly; time_ns is not, and is only passed on.
-- What was written is published, as JSON. Returns 1 if the progress is there, 0 if quotes may be missing (the server was
-- flushed): send all of the partition.

local width = 10
local epoch, topic, offset, every = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local lowest, highest = tonumber(ARGV[6]), tonumber(ARGV[7])
local quotes = cmsgpack.unpack(ARGV[8])

local function fields(key, ...)
    local held = redis.pcall('HMGET', key, ...)
    if held.err then -- somebody's, and no hash
        redis.call('DEL', key)
        return {}
    end
    return held
end

-- Writes the quote that begins at quotes[at].
local function write(key, at, again)
    local sequence, time, time_ns, price, variance, session, open, high, low = unpack(quotes, at, at + width - 2)
    local call = again and redis.call or redis.pcall
    local reply
    if session ~= '-' then
        reply = call('HSET', key, 'epoch', epoch, 'sequence', sequence, 'time', time, 'time_ns', time_ns, 'price', price,
            'variance', variance, 'session', session, 'open', open, 'high', high, 'low', low)
    else
        reply = call('HSET', key, 'epoch', epoch, 'sequence', sequence, 'time', time, 'time_ns', time_ns, 'price', price,
            'variance', variance)
    end
    if type(reply) == 'table' then -- an error: somebody's key, and no hash
        redis.call('DEL', key)
        return write(key, at, true)
    end
    if session == '-' then
        redis.call('HDEL', key, 'session', 'open', 'high', 'low')
    end
end

-- Where a quote stands: its (epoch, sequence) as numbers, -1 where there is none, and whether it has its session.
local function standing(key)
    local held = fields(key, 'epoch', 'sequence', 'session')
    return tonumber(held[1] or '-1') or -1, tonumber(held[2] or '-1') or -1, held[3]
end

local progress = fields(KEYS[1], 'epoch', 'topic_id', 'next_offset', 'sequence')
local now = tonumber(epoch)
local progress_epoch = tonumber(progress[1] or '-1') or -1
-- The highest sequence of all quotes of this epoch, and there are none of a later one; nil where that is not known.
local top = progress_epoch == now and tonumber(progress[4] or '') or nil
local published = ''
if top and lowest > top then
    for i = 2, #KEYS do
        write(KEYS[i], (i - 2) * width + 1)
    end
    top = highest
    published = ARGV[9]
else
    local found = highest
    local seen_all = every
    local written = {}
    local json = 1
    for i = 2, #KEYS do
        local at = (i - 2) * width + 1
        local held_epoch, held_sequence, session = standing(KEYS[i])
        local sequence, length = tonumber(quotes[at]), tonumber(quotes[at + 9])
        local fuller = held_epoch == now and held_sequence == sequence and not session and quotes[at + 5] ~= '-'
        if held_epoch < now or (held_epoch == now and held_sequence < sequence) or fuller then
            write(KEYS[i], at)
            written[#written + 1] = string.sub(ARGV[9], json, json + length - 1)
        elseif held_epoch == now then
            found = math.max(found, held_sequence)
        else
            seen_all = false -- a later epoch's: nothing is known of this one's
        end
        json = json + length + 1
    end
    top = (top and math.max(top, found)) or (seen_all and found) or nil
    published = table.concat(written, ',')
end
if published ~= '' then
    redis.call('PUBLISH', ARGV[5], '{"epoch":' .. epoch .. ',"quotes":[' .. published .. ']}')
end

if progress[4] and progress_epoch < now then
    redis.call('HDEL', KEYS[1], 'sequence') -- an earlier epoch's quotes are not the highest any longer
end
local whole = offset ~= '' and (progress[1] or every)
local same = progress_epoch == now and progress[2] == topic
if whole and (progress_epoch < now or (progress_epoch == now and not same)
    or (same and (tonumber(progress[3] or '-1') or -1) < tonumber(offset))) then
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'topic_id', topic, 'next_offset', offset)
    progress_epoch = now
end
if progress_epoch == now and top then
    redis.call('HSET', KEYS[1], 'sequence', top)
end
return (whole or progress[1]) and 1 or 0
