#include "encode/message.h"

#include <cinttypes>
#include <limits>

#include "encode/byte_order.h"
#include "encode/crc32.h"

namespace pseudofeed::encode {
namespace {

constexpr std::int64_t kMaximumSequence = std::numeric_limits<std::int64_t>::max();

std::uint32_t checksum_of(const std::byte* message, std::size_t size) {
    return crc32(message + kPrefixSize, size - kPrefixSize, crc32(message, kChecksumAt));
}

bool is_block_length(std::size_t found, std::size_t ours, bool newer) { return newer ? found >= ours : found == ours; }

}  // namespace

void put_prefix(const Template& kind, const Prefix& prefix, std::byte* out) {
    store_little(out, kind.root_size);
    store_little(out + 2, kind.id);
    store_little(out + 4, kSchemaId);
    store_little(out + 6, kVersion);
    store_little(out + kFingerprintAt, prefix.fingerprint);
    store_little(out + kSequenceAt, prefix.sequence);
    store_little(out + kPartitionAt, prefix.partition);
}

std::byte* put_group(std::byte* at, std::size_t entry_size, std::size_t entries) {
    store_little(at, static_cast<std::uint16_t>(entry_size));
    store_little(at + 2, static_cast<std::uint16_t>(entries));
    return at + kGroupSize;
}

void put_checksum(std::byte* message, std::size_t size) {
    store_little(message + kChecksumAt, checksum_of(message, size));
}

Prefix load_prefix(const std::byte* message) {
    return {load_little<std::uint64_t>(message + kFingerprintAt), load_little<std::int64_t>(message + kSequenceAt),
            load_little<std::uint32_t>(message + kPartitionAt)};
}

Status take_header(Bytes message, const Template& kind, Cursor* cursor) {
    const std::size_t least = kHeaderSize + kind.root_size;
    if (message.size < least) {
        return failure(Code::malformed, "%s of %zu bytes, expected a header of at least %zu", kind.name, message.size,
                       least);
    }
    const unsigned root = load_little<std::uint16_t>(message.data);
    const unsigned template_id = load_little<std::uint16_t>(message.data + 2);
    const unsigned schema_id = load_little<std::uint16_t>(message.data + 4);
    const unsigned version = load_little<std::uint16_t>(message.data + 6);
    if (schema_id != kSchemaId) {
        return failure(Code::malformed, "not a message of pseudofeed: schemaId is %u at byte 4, expected %u", schema_id,
                       kSchemaId);
    }
    if (template_id != kind.id) {
        return failure(Code::malformed, "not a %s: templateId is %u at byte 2, expected %u", kind.name, template_id,
                       kind.id);
    }
    const bool newer = version > kVersion;
    if (!is_block_length(root, kind.root_size, newer)) {
        return failure(Code::malformed, "%s: blockLength is %u at byte 0, expected %u", kind.name, root,
                       kind.root_size);
    }
    if (root > message.size - kHeaderSize) {
        return failure(Code::malformed, "%s: blockLength is %u at byte 0, but the message has %zu bytes", kind.name,
                       root, message.size);
    }
    *cursor = {message, kind.name, kHeaderSize + root, newer};
    return {};
}

Status take_group(Cursor& cursor, const char* name, std::size_t entry_size, Group* group) {
    const std::size_t left = cursor.message.size - cursor.at;
    if (left < kGroupSize) {
        return failure(Code::malformed, "%s ends at byte %zu, expected the group `%s` at byte %zu", cursor.name,
                       cursor.message.size, name, cursor.at);
    }
    const std::byte* at = cursor.message.data + cursor.at;
    const std::size_t stride = load_little<std::uint16_t>(at);
    const std::size_t count = load_little<std::uint16_t>(at + 2);
    if (!is_block_length(stride, entry_size, cursor.newer)) {
        return failure(Code::malformed, "%s: blockLength of group `%s` is %zu at byte %zu, expected %zu", cursor.name,
                       name, stride, cursor.at, entry_size);
    }
    // Two numbers below 2^16: their product fits 32 bits.
    if (stride * count > left - kGroupSize) {
        return failure(Code::malformed,
                       "%s: group `%s` has %zu entries of %zu bytes at byte %zu, but the message has %zu bytes",
                       cursor.name, name, count, stride, cursor.at, cursor.message.size);
    }
    *group = {at + kGroupSize, stride, count};
    cursor.at += kGroupSize + stride * count;
    return {};
}

Status check_end(const Cursor& cursor) {
    const std::size_t size = cursor.message.size;
    if (cursor.at != size) {
        return failure(Code::malformed, "%s: %zu bytes behind its end at byte %zu", cursor.name, size - cursor.at,
                       cursor.at);
    }
    const std::uint32_t expected = load_little<std::uint32_t>(cursor.message.data + kChecksumAt);
    const std::uint32_t found = checksum_of(cursor.message.data, size);
    if (found != expected) {
        return failure(Code::malformed,
                       "%s is damaged: its %zu bytes have the checksum %08" PRIx32 ", byte %zu says %08" PRIx32,
                       cursor.name, size, found, kChecksumAt, expected);
    }
    return {};
}

Status check_sequences(const Cursor& cursor, std::int64_t sequence, std::size_t steps) {
    if (sequence < 1 || sequence > kMaximumSequence - static_cast<std::int64_t>(steps - 1)) {
        return failure(Code::malformed,
                       "%s: the sequence is %" PRId64 " at byte %zu, its %zu steps must lie in 1 .. 2^63 - 1",
                       cursor.name, sequence, kSequenceAt, steps);
    }
    return {};
}

Status check_times(const Cursor& cursor, const Group& steps) {
    const std::byte* at = steps.entries + steps.stride;
    for (std::size_t j = 1; j < steps.count; ++j, at += steps.stride) {
        const auto time = load_little<std::int64_t>(at);
        const auto before = load_little<std::int64_t>(at - steps.stride);
        if (time <= before) {
            return failure(Code::malformed, "%s: time %" PRId64 " at byte %zu, expected one after %" PRId64,
                           cursor.name, time, static_cast<std::size_t>(at - cursor.message.data), before);
        }
    }
    return {};
}

Status check_origin(const char* name, const Prefix& found, std::uint64_t fingerprint, std::uint32_t partition) {
    if (found.fingerprint != fingerprint) {
        return failure(Code::malformed,
                       "%s of another market: fingerprint is %016" PRIx64 " at byte %zu, expected %016" PRIx64, name,
                       found.fingerprint, kFingerprintAt, fingerprint);
    }
    if (found.partition != partition) {
        return failure(Code::malformed, "%s of another partition: it says %" PRIu32 " at byte %zu, expected %" PRIu32,
                       name, found.partition, kPartitionAt, partition);
    }
    return {};
}

Status check_source_range(std::int64_t first_sequence, std::size_t steps) {
    if (first_sequence < 1 || first_sequence > kMaximumSequence - static_cast<std::int64_t>(steps - 1)) {
        return failure(Code::invalid_argument, "first_step is %" PRId64 ", the %zu steps must lie in 1 .. 2^63 - 1",
                       first_sequence, steps);
    }
    return {};
}

Status check_source_steps(std::int64_t first_sequence, const std::int64_t* times, std::size_t steps) {
    if (Status status = check_source_range(first_sequence, steps); !status.ok()) return status;
    for (std::size_t j = 1; j < steps; ++j) {
        if (times[j] <= times[j - 1]) {
            return failure(Code::invalid_argument, "times must ascend: times[%zu] is %" PRId64 " after %" PRId64, j,
                           times[j], times[j - 1]);
        }
    }
    return {};
}

Status check_capacity(const char* name, std::size_t capacity, std::size_t size) {
    if (capacity < size) {
        return failure(Code::invalid_argument, "the buffer has room for %zu bytes, the %s needs %zu", capacity, name,
                       size);
    }
    return {};
}

}  // namespace pseudofeed::encode
