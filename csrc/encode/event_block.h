// The event block: the events of the instruments of one partition in a range of steps, in one SBE message. One codec
// serves every kind of event: an entry begins with an EventHead, and the kind's own fields follow, packed,
// little-endian. So the C++ struct, the entry of the SBE group and the NumPy structured dtype are the same bytes, and
// encoding is a copy and a checksum. The layout with offsets is in docs/wire.md.
//
//   8 prefix (message.h)  32 uint32 steps   36 uint32 firstEvent   40 uint32 more   44 group of entries
//
// A block covers its steps even if they have no events. If a step has more events than fit a message, `more` is 1, and
// the next block begins in that step, at its event `firstEvent`. Events are counted in the partition: a reader that
// adds them up knows that nothing is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "encode/message.h"
#include "status.h"

namespace pseudofeed::encode {

struct EventHead {
    std::int64_t time;     // ns since 1970
    std::uint32_t number;  // of the instrument in the market, below 2^31
    std::uint16_t step;    // counted from the block's first
    std::uint16_t event;   // counts those of this number in this step, from 0
};
static_assert(sizeof(EventHead) == 16 && offsetof(EventHead, time) == 0 && offsetof(EventHead, number) == 8 &&
              offsetof(EventHead, step) == 12 && offsetof(EventHead, event) == 14);
static_assert(std::is_trivially_copyable_v<EventHead>);

inline constexpr std::size_t kEventBlockHead = kPrefixSize + 12 + kGroupSize;
inline constexpr std::size_t kMaximumEventBlock = 512 << 10;  // bytes
inline constexpr std::size_t kMaximumEventSteps = 1 << 16;    // so that `step` has 16 bits
inline constexpr std::size_t kMaximumEventEntry = 4096;       // bytes

// A kind of event. Borrows the name. entry_size: sizeof(EventHead) .. kMaximumEventEntry.
struct EventKind {
    const char* name = "";
    std::uint16_t id = 0;
    std::size_t entry_size = 0;
};

// The most entries of that size in a block: SBE counts them in 16 bits.
constexpr std::size_t maximum_events(std::size_t entry_size) {
    return (kMaximumEventBlock - kEventBlockHead) / entry_size;
}

static_assert(maximum_events(sizeof(EventHead)) <= kMaximumEntries);

// Bytes of a block with so many events; 0 if no block can have them.
constexpr std::size_t event_block_size(std::size_t events, std::size_t entry_size) {
    if (entry_size < sizeof(EventHead) || entry_size > kMaximumEventEntry || events > maximum_events(entry_size))
        return 0;
    return kEventBlockHead + events * entry_size;
}

// The input of a block. Borrows the entries for the call.
struct EventBlockSource {
    std::uint64_t fingerprint = 0;
    std::uint32_t partition = 0;
    std::int64_t first_sequence = 0;     // >= 1
    std::uint32_t steps = 0;             // 1 .. kMaximumEventSteps
    std::uint32_t first_event = 0;       // of the first step: how many of its events are in earlier blocks
    bool more = false;                   // the last step continues in the next block
    const std::byte* entries = nullptr;  // (events) of entry_size bytes, ascending by step, number and event
    std::size_t events = 0;
};

// Encodes one block to `out`, which has room for `capacity` bytes; `*written` is event_block_size(...). On failure
// (invalid_argument: an order or range is violated, or there is no room) neither is touched.
Status encode_event_block(const EventKind& kind, const EventBlockSource& source, std::byte* out, std::size_t capacity,
                          std::size_t* written);

// A message whose every length, count and invariant was checked. Borrows the message's bytes.
struct EventBlockView {
    Prefix prefix;  // its sequence is the first step's
    std::uint32_t steps = 0;
    std::uint32_t first_event = 0;
    bool more = false;
    Group entries;  // its stride is longer than the kind's entry in messages of a newer version
};

// Checks one message. On failure (malformed) `*view` is not touched.
Status check_event_block(const EventKind& kind, Bytes message, EventBlockView* view);

// Checks a batch, each message as above and for its fingerprint and partition. `views` has room for `count`; `*events`
// is the batch's number of events. On failure `*failed` is the index of the first bad message.
Status check_event_blocks(const EventKind& kind, const Bytes* messages, std::size_t count, std::uint64_t fingerprint,
                          std::uint32_t partition, EventBlockView* views, std::size_t* events, std::size_t* failed);

// Writes the events of checked messages, one after the other: each entry as it is, entry_size bytes, and its step.
void read_event_blocks(const EventKind& kind, const EventBlockView* views, std::size_t count, std::byte* entries,
                       std::int64_t* sequences);

}  // namespace pseudofeed::encode
