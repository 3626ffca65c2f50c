#include "encode/tick_block.h"

#include <cinttypes>
#include <limits>

#include "encode/byte_order.h"
#include "encode/crc32.h"

namespace pseudofeed::encode {
namespace {

// The schema: pseudofeed.sbe.xml, version 0. A later version may only lengthen the root block and the entries of the
// groups; a reader of this one skips what was added (SBE 1.0, "Schema extension mechanism").
constexpr std::uint16_t kTemplateId = 1;
constexpr std::uint16_t kSchemaId = 1;
constexpr std::uint16_t kVersion = 0;

constexpr std::size_t kHeaderSize = 8;  // blockLength, templateId, schemaId, version: uint16 each
constexpr std::size_t kRootSize = 24;   // fingerprint, firstSequence, partition, checksum
constexpr std::size_t kGroupSize = 4;   // blockLength, numInGroup: uint16 each
constexpr std::size_t kNumberSize = 4;  // entry of `instruments`
constexpr std::size_t kTimeSize = 8;    // entry of `steps`
constexpr std::size_t kTickSize = 16;   // entry of `ticks`

constexpr std::size_t kFingerprintAt = 8;
constexpr std::size_t kFirstSequenceAt = 16;
constexpr std::size_t kPartitionAt = 24;
constexpr std::size_t kChecksumAt = 28;
constexpr std::size_t kChecksumSize = 4;

// Of all bytes but the checksum's own.
std::uint32_t checksum_of(const std::byte* message, std::size_t size) {
    constexpr std::size_t after = kChecksumAt + kChecksumSize;
    return crc32(message + after, size - after, crc32(message, kChecksumAt));
}

std::byte* put_group(std::byte* at, std::size_t entry_size, std::size_t entries) {
    store_little(at, static_cast<std::uint16_t>(entry_size));
    store_little(at + 2, static_cast<std::uint16_t>(entries));
    return at + kGroupSize;
}

void put_ticks(const TickBlockSource& source, std::byte* at) {
    for (std::size_t j = 0; j < source.steps; ++j) {
        const double* prices = source.prices + j * source.row_length;
        const double* variances = source.variances + j * source.row_length;
        for (std::size_t i = 0; i < source.instruments; ++i, at += kTickSize) {
            const std::size_t column = source.columns ? static_cast<std::size_t>(source.columns[i]) : i;
            store_little(at, prices[column]);
            store_little(at + 8, variances[column]);
        }
    }
}

Status check_source(const TickBlockSource& source, std::size_t size, std::size_t capacity) {
    constexpr Code invalid = Code::invalid_argument;
    if (size == 0) {
        return failure(invalid, "a tick block has 1 to %zu ticks, not %zu steps x %zu instruments", kMaximumBlockTicks,
                       source.steps, source.instruments);
    }
    if (capacity < size) {
        return failure(invalid, "the buffer has room for %zu bytes, the tick block needs %zu", capacity, size);
    }
    const auto last_offset = static_cast<std::int64_t>(source.steps - 1);
    if (source.first_sequence < 1 || source.first_sequence > std::numeric_limits<std::int64_t>::max() - last_offset) {
        return failure(invalid, "first_step is %" PRId64 ", the %zu steps must lie in 1 .. 2^63 - 1",
                       source.first_sequence, source.steps);
    }
    for (std::size_t j = 1; j < source.steps; ++j) {
        if (source.times[j] <= source.times[j - 1]) {
            return failure(invalid, "times must ascend: times[%zu] is %" PRId64 " after %" PRId64, j, source.times[j],
                           source.times[j - 1]);
        }
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

// A place in a message that is being checked.
struct Cursor {
    Bytes message;
    std::size_t at = 0;
    bool newer = false;  // of a version that may have longer blocks than ours
};

struct Group {
    const std::byte* entries = nullptr;
    std::size_t stride = 0;
    std::size_t count = 0;
};

bool is_block_length(std::size_t found, std::size_t ours, bool newer) { return newer ? found >= ours : found == ours; }

Status take_group(Cursor& cursor, const char* name, std::size_t entry_size, Group* group) {
    const std::size_t left = cursor.message.size - cursor.at;
    if (left < kGroupSize) {
        return failure(Code::malformed, "tick block ends at byte %zu, expected the group `%s` at byte %zu",
                       cursor.message.size, name, cursor.at);
    }
    const std::byte* at = cursor.message.data + cursor.at;
    const std::size_t stride = load_little<std::uint16_t>(at);
    const std::size_t count = load_little<std::uint16_t>(at + 2);
    if (!is_block_length(stride, entry_size, cursor.newer)) {
        return failure(Code::malformed, "tick block: blockLength of group `%s` is %zu at byte %zu, expected %zu", name,
                       stride, cursor.at, entry_size);
    }
    // Two numbers below 2^16: their product fits 32 bits.
    if (stride * count > left - kGroupSize) {
        return failure(Code::malformed,
                       "tick block: group `%s` has %zu entries of %zu bytes at byte %zu, but the message has %zu bytes",
                       name, count, stride, cursor.at, cursor.message.size);
    }
    *group = {at + kGroupSize, stride, count};
    cursor.at += kGroupSize + stride * count;
    return {};
}

Status check_header(Bytes message, Cursor* cursor) {
    if (message.size < kHeaderSize + kRootSize) {
        return failure(Code::malformed, "tick block of %zu bytes, expected a header of at least %zu", message.size,
                       kHeaderSize + kRootSize);
    }
    const unsigned root = load_little<std::uint16_t>(message.data);
    const unsigned template_id = load_little<std::uint16_t>(message.data + 2);
    const unsigned schema_id = load_little<std::uint16_t>(message.data + 4);
    const unsigned version = load_little<std::uint16_t>(message.data + 6);
    if (schema_id != kSchemaId) {
        return failure(Code::malformed, "not a message of pseudofeed: schemaId is %u at byte 4, expected %u", schema_id,
                       kSchemaId);
    }
    if (template_id != kTemplateId) {
        return failure(Code::malformed, "not a tick block: templateId is %u at byte 2, expected %u", template_id,
                       kTemplateId);
    }
    const bool newer = version > kVersion;
    if (!is_block_length(root, kRootSize, newer)) {
        return failure(Code::malformed, "tick block: blockLength is %u at byte 0, expected %zu", root, kRootSize);
    }
    if (root > message.size - kHeaderSize) {
        return failure(Code::malformed, "tick block: blockLength is %u at byte 0, but the message has %zu bytes", root,
                       message.size);
    }
    *cursor = {message, kHeaderSize + root, newer};
    return {};
}

Status check_groups(Cursor& cursor, const Group& instruments, const Group& steps, const Group& ticks) {
    const std::size_t size = cursor.message.size;
    if (cursor.at != size) {
        return failure(Code::malformed, "tick block: %zu bytes behind its end at byte %zu", size - cursor.at,
                       cursor.at);
    }
    if (steps.count == 0 || ticks.count != steps.count * instruments.count) {
        return failure(Code::malformed, "tick block: %zu ticks, expected %zu steps x %zu instruments", ticks.count,
                       steps.count, instruments.count);
    }
    if (ticks.count == 0 || ticks.count > kMaximumBlockTicks) {
        return failure(Code::malformed, "tick block: %zu ticks, expected 1 .. %zu", ticks.count, kMaximumBlockTicks);
    }
    const std::uint32_t expected = load_little<std::uint32_t>(cursor.message.data + kChecksumAt);
    const std::uint32_t found = checksum_of(cursor.message.data, size);
    if (found != expected) {
        return failure(Code::malformed,
                       "tick block is damaged: its %zu bytes have the checksum %08" PRIx32 ", byte %zu says %08" PRIx32,
                       size, found, kChecksumAt, expected);
    }
    return {};
}

// What the checksum can't tell: a writer's mistakes.
Status check_values(Bytes message, const TickBlockView& view) {
    const auto last_offset = static_cast<std::int64_t>(view.steps - 1);
    if (view.first_sequence < 1 || view.first_sequence > std::numeric_limits<std::int64_t>::max() - last_offset) {
        return failure(Code::malformed,
                       "tick block: firstSequence is %" PRId64 " at byte %zu, its %zu steps must lie in 1 .. 2^63 - 1",
                       view.first_sequence, kFirstSequenceAt, view.steps);
    }
    const std::byte* at = view.numbers;
    for (std::int64_t i = 0, before = -1; static_cast<std::size_t>(i) < view.instruments; ++i) {
        const std::int64_t number = load_little<std::uint32_t>(at);
        if (number <= before || number > std::numeric_limits<std::int32_t>::max()) {
            return failure(Code::malformed,
                           "tick block: instrument number %" PRId64 " at byte %zu, expected %" PRId64 " .. 2^31 - 1",
                           number, static_cast<std::size_t>(at - message.data), before + 1);
        }
        before = number;
        at += view.number_stride;
    }
    at = view.times + view.time_stride;
    for (std::size_t j = 1; j < view.steps; ++j, at += view.time_stride) {
        const auto time = load_little<std::int64_t>(at);
        const auto before = load_little<std::int64_t>(at - view.time_stride);
        if (time <= before) {
            return failure(Code::malformed, "tick block: time %" PRId64 " at byte %zu, expected one after %" PRId64,
                           time, static_cast<std::size_t>(at - message.data), before);
        }
    }
    return {};
}

}  // namespace

Status encode_tick_block(const TickBlockSource& source, std::byte* out, std::size_t capacity, std::size_t* written) {
    const std::size_t size = tick_block_size(source.steps, source.instruments);
    if (Status status = check_source(source, size, capacity); !status.ok()) return status;

    store_little(out, static_cast<std::uint16_t>(kRootSize));
    store_little(out + 2, kTemplateId);
    store_little(out + 4, kSchemaId);
    store_little(out + 6, kVersion);
    store_little(out + kFingerprintAt, source.fingerprint);
    store_little(out + kFirstSequenceAt, source.first_sequence);
    store_little(out + kPartitionAt, source.partition);

    std::byte* at = put_group(out + kHeaderSize + kRootSize, kNumberSize, source.instruments);
    for (std::size_t i = 0; i < source.instruments; ++i, at += kNumberSize) store_little(at, source.numbers[i]);
    at = put_group(at, kTimeSize, source.steps);
    for (std::size_t j = 0; j < source.steps; ++j, at += kTimeSize) store_little(at, source.times[j]);
    put_ticks(source, put_group(at, kTickSize, source.steps * source.instruments));

    store_little(out + kChecksumAt, checksum_of(out, size));
    *written = size;
    return {};
}

Status check_tick_block(Bytes message, TickBlockView* view) {
    Cursor cursor;
    Group instruments;
    Group steps;
    Group ticks;
    if (Status status = check_header(message, &cursor); !status.ok()) return status;
    if (Status status = take_group(cursor, "instruments", kNumberSize, &instruments); !status.ok()) return status;
    if (Status status = take_group(cursor, "steps", kTimeSize, &steps); !status.ok()) return status;
    if (Status status = take_group(cursor, "ticks", kTickSize, &ticks); !status.ok()) return status;
    if (Status status = check_groups(cursor, instruments, steps, ticks); !status.ok()) return status;

    const TickBlockView found{
        .fingerprint = load_little<std::uint64_t>(message.data + kFingerprintAt),
        .first_sequence = load_little<std::int64_t>(message.data + kFirstSequenceAt),
        .partition = load_little<std::uint32_t>(message.data + kPartitionAt),
        .steps = steps.count,
        .instruments = instruments.count,
        .numbers = instruments.entries,
        .times = steps.entries,
        .ticks = ticks.entries,
        .number_stride = instruments.stride,
        .time_stride = steps.stride,
        .tick_stride = ticks.stride,
    };
    if (Status status = check_values(message, found); !status.ok()) return status;
    *view = found;
    return {};
}

Status check_tick_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                         TickBlockView* views, std::size_t* ticks, std::size_t* failed) {
    std::size_t total = 0;
    for (std::size_t m = 0; m < count; ++m) {
        *failed = m;
        if (Status status = check_tick_block(messages[m], &views[m]); !status.ok()) return status;
        if (views[m].fingerprint != fingerprint) {
            return failure(Code::malformed,
                           "tick block of another market: fingerprint is %016" PRIx64
                           " at byte %zu, expected %016" PRIx64,
                           views[m].fingerprint, kFingerprintAt, fingerprint);
        }
        if (views[m].partition != partition) {
            return failure(Code::malformed,
                           "tick block of another partition: it says %" PRIu32 " at byte %zu, expected %" PRIu32,
                           views[m].partition, kPartitionAt, partition);
        }
        total += views[m].steps * views[m].instruments;
    }
    *ticks = total;
    return {};
}

void read_tick_blocks(const TickBlockView* views, std::size_t count, TickColumns columns) {
    std::size_t to = 0;
    for (const TickBlockView* view = views; view != views + count; ++view) {
        const std::byte* tick = view->ticks;
        for (std::size_t j = 0; j < view->steps; ++j) {
            const auto time = load_little<std::int64_t>(view->times + j * view->time_stride);
            const std::int64_t sequence = view->first_sequence + static_cast<std::int64_t>(j);
            const std::byte* number = view->numbers;
            for (std::size_t i = 0; i < view->instruments; ++i, ++to) {
                columns.time[to] = time;
                columns.sequence[to] = sequence;
                columns.instrument[to] = load_little<std::int32_t>(number);
                columns.price[to] = load_little<double>(tick);
                columns.variance[to] = load_little<double>(tick + 8);
                number += view->number_stride;
                tick += view->tick_stride;
            }
        }
    }
}

}  // namespace pseudofeed::encode
