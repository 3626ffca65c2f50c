-- The newest quotes of one partition, written in one call. Commands of Redis 6.2 only.
--
-- KEYS[1]     the hash of the partition's progress
-- KEYS[2..]   the hash of each quote
-- ARGV[1]     the market's epoch
-- ARGV[2]     the topic's id and ARGV[3] the offset before which every message is in the quotes; "" where some may not be
-- ARGV[4]     "1" if the call has every instrument of the partition
-- ARGV[5]     the channel
-- ARGV[6], ARGV[7]   the lowest and the highest sequence in this call; 0 where it has no quotes
-- ARGV[8]     who writes: a text of its own for each connection of each worker
-- ARGV[9]     "1" if some quotes come in part
-- ARGV[10]    the quotes, a MessagePack array (csrc/encode/quotes.h). Of each five texts: sequence, time, time_ns, price and
--             variance; then four more: session, open, high and low; or false in their place, where the session's beginning
--             is not known; or true: as this writer has written them before, which is a quote in part. Then the length of
--             its JSON, a number
-- ARGV[11]    the quotes as JSON, a comma between two
--
-- A quote is replaced only by one with a greater (epoch, sequence), so replays and workers that lost their partition can't
-- move it back; one that stands without its session's open, high and low gets them. The progress has the highest sequence of
-- all quotes, where that is known: what is above it needs no look at each quote, half of the time. It also says who wrote
-- last: as long as that is the same writer, its quotes stand as it left them, and five fields are enough, half of the time
-- again. Epochs, sequences and offsets are below 2^53, so Lua's doubles hold them exactly; time_ns is not, and is only
-- passed on. What was written is published, as JSON. Returns 0 if quotes may be missing (the server was flushed): send all of
-- the partition; 2 if quotes in part cannot be written: send them whole; 1 if the quotes are there as this writer has sent
-- them, in this call and before; 3 if some are not: it was not the last one who wrote, or there were newer ones.

local epoch, topic, offset, every = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local lowest, highest = tonumber(ARGV[6]), tonumber(ARGV[7])
local writer, in_part = ARGV[8], ARGV[9] == '1'
local call, pcall = redis.call, redis.pcall

local function fields(key, ...)
    local held = pcall('HMGET', key, ...)
    if held.err then -- somebody's, and no hash
        call('DEL', key)
        return {}
    end
    return held
end

local progress = fields(KEYS[1], 'epoch', 'topic_id', 'next_offset', 'sequence', 'writer')
local now = tonumber(epoch)
local progress_epoch = tonumber(progress[1] or '-1') or -1
-- The highest sequence of all quotes of this epoch, and there are none of a later one; nil where that is not known.
local top = progress_epoch == now and tonumber(progress[4] or '') or nil
local above = top and lowest > top
if in_part and not (above and progress[5] == writer) then
    return 2
end
local quotes = cmsgpack.unpack(ARGV[10])

-- Writes the quote that begins at quotes[at]. The fields that change with each tick come first: Redis looks for a field
-- from the hash's beginning.
local function write(key, at)
    local session = quotes[at + 5]
    local reply
    if session then
        reply = pcall('HSET', key, 'sequence', quotes[at], 'time', quotes[at + 1], 'time_ns', quotes[at + 2], 'price',
            quotes[at + 3], 'variance', quotes[at + 4], 'epoch', epoch, 'session', session, 'open', quotes[at + 6], 'high',
            quotes[at + 7], 'low', quotes[at + 8])
    else
        reply = pcall('HSET', key, 'sequence', quotes[at], 'time', quotes[at + 1], 'time_ns', quotes[at + 2], 'price',
            quotes[at + 3], 'variance', quotes[at + 4], 'epoch', epoch)
    end
    if type(reply) == 'table' then -- an error: somebody's key, and no hash
        call('DEL', key)
        return write(key, at)
    end
    if not session then
        call('HDEL', key, 'session', 'open', 'high', 'low')
    end
end

-- Where a quote stands: its (epoch, sequence) as numbers, -1 where there is none, and whether it has its session.
local function standing(key)
    local held = fields(key, 'epoch', 'sequence', 'session')
    return tonumber(held[1] or '-1') or -1, tonumber(held[2] or '-1') or -1, held[3]
end

local published = ''
local lost = false
local as_sent = progress[5] == writer
local at = 1
if above then
    for i = 2, #KEYS do
        local key, session = KEYS[i], quotes[at + 5]
        if session == true then
            local added = pcall('HSET', key, 'sequence', quotes[at], 'time', quotes[at + 1], 'time_ns', quotes[at + 2],
                'price', quotes[at + 3], 'variance', quotes[at + 4])
            if added ~= 0 then -- an error, or somebody has taken fields away
                call('DEL', key)
                lost = true
            end
            at = at + 7
        else
            write(key, at)
            at = at + (session and 10 or 7)
        end
    end
    top = highest
    published = ARGV[11]
else
    local found = highest
    local seen_all = every
    local written = {}
    local json = 1
    for i = 2, #KEYS do
        local held_epoch, held_sequence, held_session = standing(KEYS[i])
        local sequence, session = tonumber(quotes[at]), quotes[at + 5]
        local width = session and 10 or 7
        local length = quotes[at + width - 1]
        local fuller = held_epoch == now and held_sequence == sequence and not held_session and session
        if held_epoch < now or (held_epoch == now and held_sequence < sequence) or fuller then
            write(KEYS[i], at)
            written[#written + 1] = string.sub(ARGV[11], json, json + length - 1)
        elseif held_epoch == now then
            found = math.max(found, held_sequence)
            as_sent = as_sent and held_sequence == sequence
        else
            seen_all = false -- a later epoch's: nothing is known of this one's
            as_sent = false
        end
        at = at + width
        json = json + length + 1
    end
    top = (top and math.max(top, found)) or (seen_all and found) or nil
    published = table.concat(written, ',')
end
if published ~= '' then
    call('PUBLISH', ARGV[5], '{"epoch":' .. epoch .. ',"quotes":[' .. published .. ']}')
end

if progress[4] and progress_epoch < now then
    call('HDEL', KEYS[1], 'sequence') -- an earlier epoch's quotes are not the highest any longer
end
local whole = offset ~= '' and (progress[1] or every)
local same = progress_epoch == now and progress[2] == topic
if whole and (progress_epoch < now or (progress_epoch == now and not same)
    or (same and (tonumber(progress[3] or '-1') or -1) < tonumber(offset))) then
    call('HSET', KEYS[1], 'epoch', epoch, 'topic_id', topic, 'next_offset', offset)
    progress_epoch = now
end
if progress_epoch == now and top then
    call('HSET', KEYS[1], 'sequence', top)
end
if published ~= '' and progress[5] ~= writer then
    if progress_epoch == now then
        call('HSET', KEYS[1], 'writer', writer)
    elseif progress[5] then
        call('HDEL', KEYS[1], 'writer') -- its quotes do not stand any longer as it left them
    end
end
if lost then
    return 2
end
return (whole or progress[1]) and (as_sent and 1 or 3) or 0
