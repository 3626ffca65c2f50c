-- The newest quotes of one partition, written in one call. Commands of Redis 6.2 only.
--
-- KEYS[1]     the partition's marker: it is there as long as every instrument of the partition has a quote
-- KEYS[2..]   the hash of each quote
-- ARGV[1]     the market's epoch; ARGV[2] "1" if the call has every instrument of the partition
-- ARGV[3..]   five for each quote: sequence, time, time_ns, price, variance
--
-- A quote is replaced only by one with a greater (epoch, sequence), so replays and workers that lost their partition can't
-- move it back. Both are below 2^53, so Lua's doubles hold them exactly; time_ns is not, and is only passed on.
-- Returns 1 if the marker is there, 0 if quotes may be missing (the server was flushed): send all of the partition.

local epoch = tonumber(ARGV[1])
for i = 2, #KEYS do
    local at = 5 * i - 7
    local held = redis.call('HMGET', KEYS[i], 'epoch', 'sequence')
    local held_epoch = tonumber(held[1] or '-1')
    if held_epoch < epoch or (held_epoch == epoch and tonumber(held[2] or '-1') < tonumber(ARGV[at])) then
        redis.call('HSET', KEYS[i], 'epoch', ARGV[1], 'sequence', ARGV[at], 'time', ARGV[at + 1],
            'time_ns', ARGV[at + 2], 'price', ARGV[at + 3], 'variance', ARGV[at + 4])
    end
end
if ARGV[2] == '1' then
    redis.call('SET', KEYS[1], ARGV[1])
    return 1
end
return redis.call('EXISTS', KEYS[1])
