#include "encode/tick_block.h"

#include <cinttypes>
#include <limits>

#include "encode/byte_order.h"
#include "encode/crc32.h"

namespace pseudofeed::encode {
namespace {

constexpr Template kTickBlock{"tick block", 1, 24};

constexpr std::size_t kNumberSize = 4;  // entry of `instruments`
constexpr std::size_t kTimeSize = 8;    // entry of `steps`
constexpr std::size_t kTickSize = 16;   // entry of `ticks`

// Ticks are summed as soon as so many bytes of them are written, while they are in the nearest cache. Measured on a
// Xeon with 32 KiB of it, 327 steps of 100 instruments, ns a tick: 4 KiB 2.09, 16 KiB 2.13, all at the end 2.89.
constexpr std::ptrdiff_t kSummedBytes = 8192;

void put_row(const double* prices, const double* variances, std::size_t count, std::byte* at) {
    for (std::size_t i = 0; i < count; ++i) {
        store_little(at + i * kTickSize, prices[i]);
        store_little(at + i * kTickSize + 8, variances[i]);
    }
}

void put_row(const double* prices, const double* variances, const std::int32_t* columns, std::size_t count,
             std::byte* at) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto column = static_cast<std::size_t>(columns[i]);
        store_little(at + i * kTickSize, prices[column]);
        store_little(at + i * kTickSize + 8, variances[column]);
    }
}

// Returns the checksum that goes on from `sum` over the ticks.
std::uint32_t put_ticks(const TickBlockSource& source, std::byte* at, std::uint32_t sum) {
    const std::byte* summed = at;
    const double* prices = source.prices;
    const double* variances = source.variances;
    for (std::size_t j = 0; j < source.steps; ++j, prices += source.row_length, variances += source.row_length) {
        if (source.columns == nullptr) {
            put_row(prices, variances, source.instruments, at);
        } else {
            put_row(prices, variances, source.columns, source.instruments, at);
        }
        at += source.instruments * kTickSize;
        if (at - summed >= kSummedBytes || j + 1 == source.steps) {
            sum = crc32(summed, static_cast<std::size_t>(at - summed), sum);
            summed = at;
        }
    }
    return sum;
}

Status check_source(const TickBlockSource& source, std::size_t size, std::size_t capacity) {
    constexpr Code invalid = Code::invalid_argument;
    if (size == 0) {
        return failure(invalid, "a tick block has 1 to %zu ticks, not %zu steps x %zu instruments", kMaximumBlockTicks,
                       source.steps, source.instruments);
    }
    if (Status status = check_capacity(kTickBlock.name, capacity, size); !status.ok()) return status;
    if (Status status = check_source_steps(source.first_sequence, source.times, source.steps); !status.ok()) {
        return status;
    }
    for (std::size_t i = 0; i < source.instruments; ++i) {
        const std::int64_t before = i == 0 ? -1 : source.numbers[i - 1];
        if (source.numbers[i] <= before) {
            return failure(invalid, "instruments must be >= 0 and ascend: instruments[%zu] is %" PRId32, i,
                           source.numbers[i]);
        }
        const std::int64_t column = source.columns ? source.columns[i] : static_cast<std::int64_t>(i);
        if (column < 0 || static_cast<std::size_t>(column) >= source.row_length) {
            return failure(invalid, "column %" PRId64 " of instrument %" PRId32 " is none of the %zu columns of prices",
                           column, source.numbers[i], source.row_length);
        }
    }
    return {};
}

Status check_counts(const Group& instruments, const Group& steps, const Group& ticks) {
    if (steps.count == 0 || ticks.count != steps.count * instruments.count) {
        return failure(Code::malformed, "tick block: %zu ticks, expected %zu steps x %zu instruments", ticks.count,
                       steps.count, instruments.count);
    }
    if (ticks.count == 0 || ticks.count > kMaximumBlockTicks) {
        return failure(Code::malformed, "tick block: %zu ticks, expected 1 .. %zu", ticks.count, kMaximumBlockTicks);
    }
    return {};
}

Status check_numbers(const Cursor& cursor, const Group& instruments) {
    const std::byte* at = instruments.entries;
    std::int64_t before = -1;
    for (std::size_t i = 0; i < instruments.count; ++i, at += instruments.stride) {
        const std::int64_t number = load_little<std::uint32_t>(at);
        if (number <= before || number > std::numeric_limits<std::int32_t>::max()) {
            return failure(Code::malformed,
                           "tick block: instrument number %" PRId64 " at byte %zu, expected %" PRId64 " .. 2^31 - 1",
                           number, static_cast<std::size_t>(at - cursor.message.data), before + 1);
        }
        before = number;
    }
    return {};
}

}  // namespace

Status encode_tick_block(const TickBlockSource& source, std::byte* out, std::size_t capacity, std::size_t* written) {
    const std::size_t size = tick_block_size(source.steps, source.instruments);
    if (Status status = check_source(source, size, capacity); !status.ok()) return status;

    put_prefix(kTickBlock, {source.fingerprint, source.first_sequence, source.partition}, out);
    std::byte* at = put_group(out + kHeaderSize + kTickBlock.root_size, kNumberSize, source.instruments);
    for (std::size_t i = 0; i < source.instruments; ++i, at += kNumberSize) store_little(at, source.numbers[i]);
    at = put_group(at, kTimeSize, source.steps);
    for (std::size_t j = 0; j < source.steps; ++j, at += kTimeSize) store_little(at, source.times[j]);
    at = put_group(at, kTickSize, source.steps * source.instruments);
    const std::uint32_t before =
        crc32(out + kPrefixSize, static_cast<std::size_t>(at - out) - kPrefixSize, crc32(out, kChecksumAt));
    store_little(out + kChecksumAt, put_ticks(source, at, before));
    *written = size;
    return {};
}

Status check_tick_block(Bytes message, TickBlockView* view) {
    Cursor cursor;
    Group instruments;
    Group steps;
    Group ticks;
    if (Status status = take_header(message, kTickBlock, &cursor); !status.ok()) return status;
    if (Status status = take_group(cursor, "instruments", kNumberSize, &instruments); !status.ok()) return status;
    if (Status status = take_group(cursor, "steps", kTimeSize, &steps); !status.ok()) return status;
    if (Status status = take_group(cursor, "ticks", kTickSize, &ticks); !status.ok()) return status;
    if (Status status = check_counts(instruments, steps, ticks); !status.ok()) return status;
    if (Status status = check_end(cursor); !status.ok()) return status;

    // What the checksum can't tell: a writer's mistakes.
    const Prefix prefix = load_prefix(message.data);
    if (Status status = check_sequences(cursor, prefix.sequence, steps.count); !status.ok()) return status;
    if (Status status = check_numbers(cursor, instruments); !status.ok()) return status;
    if (Status status = check_times(cursor, steps); !status.ok()) return status;
    *view = {
        .prefix = prefix,
        .steps = steps.count,
        .instruments = instruments.count,
        .numbers = instruments.entries,
        .times = steps.entries,
        .ticks = ticks.entries,
        .number_stride = instruments.stride,
        .time_stride = steps.stride,
        .tick_stride = ticks.stride,
    };
    return {};
}

}  // namespace pseudofeed::encode
