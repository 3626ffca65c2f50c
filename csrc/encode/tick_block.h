// The tick block: many steps of all the instruments of one partition in one SBE message (template 1 of
// src/pseudofeed/encode/pseudofeed.sbe.xml; the layout with offsets stands in docs/wire.md).
//
// Codecs do no I/O: bytes in, ticks out. An encoder checks all of its input before it writes its first byte; a decoder
// is two calls, `check_tick_blocks` (everything, for all messages) and `read_tick_blocks` (can't fail), so that nothing
// is written from a batch that holds a damaged message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::encode {

// SBE counts a group's entries in a uint16 whose 65535 means null.
inline constexpr std::size_t kMaximumBlockTicks = 65534;

// Bytes of a block of that many steps and instruments; 0 where no block can have them (one of them is 0, or
// steps x instruments > kMaximumBlockTicks).
constexpr std::size_t tick_block_size(std::size_t steps, std::size_t instruments) {
    if (steps == 0 || instruments == 0 || steps > kMaximumBlockTicks / instruments) return 0;
    return 8 + 24 + (4 + 4 * instruments) + (4 + 8 * steps) + (4 + 16 * steps * instruments);
}

// What a block is made from. Borrows every pointer for the call.
struct TickBlockSource {
    std::uint64_t fingerprint = 0;
    std::uint32_t partition = 0;
    std::int64_t first_sequence = 0;        // >= 1; row j is step first_sequence + j
    std::size_t steps = 0;                  // T
    std::size_t instruments = 0;            // M
    const std::int64_t* times = nullptr;    // (T), ns since the epoch, strictly ascending
    const std::int32_t* numbers = nullptr;  // (M), numbers in the market, >= 0, strictly ascending
    const double* prices = nullptr;         // (T, row_length), row-major
    const double* variances = nullptr;      // (T, row_length), row-major
    std::size_t row_length = 0;             // columns of prices and variances, >= M
    const std::int32_t* columns = nullptr;  // (M), the column of each instrument; nullptr: 0 .. M-1
};

// Encodes one block to `out`, which has room for `capacity` bytes; `*written` is tick_block_size(T, M). On failure
// (invalid_argument) neither is touched. Any double is carried bit for bit, NaN and -0.0 too.
Status encode_tick_block(const TickBlockSource& source, std::byte* out, std::size_t capacity, std::size_t* written);

// One message. Borrows.
struct Bytes {
    const std::byte* data = nullptr;
    std::size_t size = 0;
};

// A message whose every length, count and invariant was checked. Borrows the message's bytes.
struct TickBlockView {
    std::uint64_t fingerprint = 0;
    std::int64_t first_sequence = 0;
    std::uint32_t partition = 0;
    std::size_t steps = 0;
    std::size_t instruments = 0;
    const std::byte* numbers = nullptr;  // first entry of each group, and the bytes from one entry to the next
    const std::byte* times = nullptr;
    const std::byte* ticks = nullptr;
    std::size_t number_stride = 0;
    std::size_t time_stride = 0;
    std::size_t tick_stride = 0;
};

// Checks one message: header, lengths, counts, checksum, and that sequences, times and numbers ascend. On failure
// (malformed; the text gives what was found, what was expected and at which byte) `*view` is not touched.
Status check_tick_block(Bytes message, TickBlockView* view);

// Checks a batch of one partition, each message as above and for its fingerprint and partition. `views` has room for
// `count`; `*ticks` is the batch's number of ticks. On failure `*failed` is the index of the first bad message.
Status check_tick_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                         TickBlockView* views, std::size_t* ticks, std::size_t* failed);

// Where ticks go: one entry a tick in each column, caller's memory.
struct TickColumns {
    std::int64_t* time = nullptr;
    std::int64_t* sequence = nullptr;
    std::int32_t* instrument = nullptr;
    double* price = nullptr;
    double* variance = nullptr;
};

// Writes the ticks of checked messages, one after the other, steps in order and within a step instruments in order.
// Each column has room for the ticks that check_tick_blocks counted. Touches nothing but the views' counts and bytes,
// so a message that somebody alters meanwhile can give wrong values, never a write or read outside.
void read_tick_blocks(const TickBlockView* views, std::size_t count, TickColumns columns);

}  // namespace pseudofeed::encode
