#include "encode/event_block.h"

#include <cinttypes>
#include <cstring>
#include <limits>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr std::uint16_t kRootSize = 36;
constexpr std::size_t kStepsAt = 32;
constexpr std::size_t kFirstEventAt = 36;
constexpr std::size_t kMoreAt = 40;

static_assert(kHeaderSize + kRootSize + kGroupSize == kEventBlockHead);

EventHead load_head(const std::byte* entry) {
    return {load_little<std::int64_t>(entry + offsetof(EventHead, time)),
            load_little<std::uint32_t>(entry + offsetof(EventHead, number)),
            load_little<std::uint16_t>(entry + offsetof(EventHead, step)),
            load_little<std::uint16_t>(entry + offsetof(EventHead, event))};
}

// The rules of a block, for what is to be encoded (invalid_argument) and what was read (malformed).
struct Range {
    Code code;
    const char* name;
    std::uint32_t steps;
    std::uint32_t first_event;
    bool more;
};

Status check_range(const Range& range, std::size_t events) {
    if (range.steps == 0 || range.steps > kMaximumEventSteps) {
        return failure(range.code, "%s: %" PRIu32 " steps, expected 1 .. %zu", range.name, range.steps,
                       kMaximumEventSteps);
    }
    if (events == 0 && (range.first_event > 0 || range.more)) {
        return failure(range.code, "%s without events: it can neither go on with a step nor leave one unfinished",
                       range.name);
    }
    return {};
}

// Ascending by step and number; within those events count up, and times do not go back.
Status check_entries(const Range& range, const Group& entries) {
    const std::byte* at = entries.entries;
    EventHead before{};
    for (std::size_t k = 0; k < entries.count; ++k, at += entries.stride) {
        const EventHead head = load_head(at);
        if (head.step >= range.steps || head.number > std::numeric_limits<std::int32_t>::max()) {
            return failure(range.code,
                           "%s: event %zu is of step %u and number %" PRIu32 ", expected below %" PRIu32
                           " and below 2^31",
                           range.name, k, head.step, head.number, range.steps);
        }
        const bool same = k > 0 && head.step == before.step && head.number == before.number;
        const bool ascends =
            k == 0 || head.step > before.step || (head.step == before.step && head.number > before.number);
        // The first entry may go on with what stood in the block before.
        const bool counts =
            same ? head.event == before.event + 1u : head.event == 0 || (k == 0 && range.first_event > 0);
        if (!(same || ascends) || !counts || (same && head.time < before.time)) {
            return failure(range.code,
                           "%s: event %zu (step %u, number %" PRIu32
                           ", event %u) does not follow on from step %u, "
                           "number %" PRIu32
                           ", event %u: expected ascending steps and numbers, events counted from 0, "
                           "and times that do not go back",
                           range.name, k, head.step, head.number, head.event, before.step, before.number, before.event);
        }
        if (k == 0 && range.first_event > 0 && head.step != 0) {
            return failure(range.code, "%s goes on with its first step at event %" PRIu32 ", but has none of it",
                           range.name, range.first_event);
        }
        before = head;
    }
    if (range.more && before.step != range.steps - 1) {
        return failure(range.code, "%s leaves its last step unfinished, but has no event of it", range.name);
    }
    return {};
}

Status check_kind(const EventKind& kind) {
    if (kind.entry_size < sizeof(EventHead) || kind.entry_size > kMaximumEventEntry) {
        return failure(Code::invalid_argument, "%s: an entry has %zu bytes, expected %zu .. %zu", kind.name,
                       kind.entry_size, sizeof(EventHead), kMaximumEventEntry);
    }
    return {};
}

}  // namespace

Status encode_event_block(const EventKind& kind, const EventBlockSource& source, std::byte* out, std::size_t capacity,
                          std::size_t* written) {
    if (Status status = check_kind(kind); !status.ok()) return status;
    const std::size_t size = event_block_size(source.events, kind.entry_size);
    if (size == 0) {
        return failure(Code::invalid_argument, "%s: a block has at most %zu events, not %zu", kind.name,
                       maximum_events(kind.entry_size), source.events);
    }
    if (Status status = check_capacity(kind.name, capacity, size); !status.ok()) return status;
    const Range range{Code::invalid_argument, kind.name, source.steps, source.first_event, source.more};
    if (Status status = check_range(range, source.events); !status.ok()) return status;
    if (Status status = check_source_range(source.first_sequence, source.steps); !status.ok()) return status;
    const Group entries{source.entries, kind.entry_size, source.events};
    if (Status status = check_entries(range, entries); !status.ok()) return status;

    put_prefix({kind.name, kind.id, kRootSize}, {source.fingerprint, source.first_sequence, source.partition}, out);
    store_little(out + kStepsAt, source.steps);
    store_little(out + kFirstEventAt, source.first_event);
    store_little(out + kMoreAt, std::uint32_t{source.more});
    std::byte* at = put_group(out + kHeaderSize + kRootSize, kind.entry_size, source.events);
    if (source.events > 0) std::memcpy(at, source.entries, source.events * kind.entry_size);
    put_checksum(out, size);
    *written = size;
    return {};
}

Status check_event_block(const EventKind& kind, Bytes message, EventBlockView* view) {
    if (Status status = check_kind(kind); !status.ok()) return status;
    Cursor cursor;
    EventBlockView found;
    if (message.size > kMaximumEventBlock) {
        return failure(Code::malformed, "%s of %zu bytes, expected at most %zu", kind.name, message.size,
                       kMaximumEventBlock);
    }
    if (Status status = take_header(message, {kind.name, kind.id, kRootSize}, &cursor); !status.ok()) return status;
    if (Status status = take_group(cursor, "events", kind.entry_size, &found.entries); !status.ok()) return status;
    if (Status status = check_end(cursor); !status.ok()) return status;
    const auto more = load_little<std::uint32_t>(message.data + kMoreAt);
    if (more > 1) {
        return failure(Code::malformed, "%s: more is %" PRIu32 " at byte %zu, expected 0 or 1", kind.name, more,
                       kMoreAt);
    }
    found.prefix = load_prefix(message.data);
    found.steps = load_little<std::uint32_t>(message.data + kStepsAt);
    found.first_event = load_little<std::uint32_t>(message.data + kFirstEventAt);
    found.more = more == 1;
    const Range range{Code::malformed, kind.name, found.steps, found.first_event, found.more};
    if (Status status = check_range(range, found.entries.count); !status.ok()) return status;
    if (Status status = check_sequences(cursor, found.prefix.sequence, found.steps); !status.ok()) return status;
    if (Status status = check_entries(range, found.entries); !status.ok()) return status;
    *view = found;
    return {};
}

Status check_event_blocks(const EventKind& kind, const Bytes* messages, std::size_t count, std::uint64_t fingerprint,
                          std::uint32_t partition, EventBlockView* views, std::size_t* events, std::size_t* failed) {
    std::size_t total = 0;
    for (std::size_t m = 0; m < count; ++m) {
        *failed = m;
        if (Status status = check_event_block(kind, messages[m], &views[m]); !status.ok()) return status;
        if (Status status = check_origin(kind.name, views[m].prefix, fingerprint, partition); !status.ok())
            return status;
        total += views[m].entries.count;
    }
    *events = total;
    return {};
}

void read_event_blocks(const EventKind& kind, const EventBlockView* views, std::size_t count, std::byte* entries,
                       std::int64_t* sequences) {
    for (const EventBlockView* view = views; view != views + count; ++view) {
        const std::byte* at = view->entries.entries;
        if (view->entries.count > 0 && view->entries.stride == kind.entry_size) {
            std::memcpy(entries, at, view->entries.count * kind.entry_size);
        }
        for (std::size_t k = 0; k < view->entries.count; ++k, at += view->entries.stride, entries += kind.entry_size) {
            if (view->entries.stride != kind.entry_size) std::memcpy(entries, at, kind.entry_size);
            *sequences++ = view->prefix.sequence + load_little<std::uint16_t>(at + offsetof(EventHead, step));
        }
    }
}

}  // namespace pseudofeed::encode
