// The tick block: many steps of all the instruments of one partition in one SBE message (template 1 of
// src/pseudofeed/encode/pseudofeed.sbe.xml; the layout with offsets is in docs/wire.md).
//
// An encoder checks all of its input before it writes its first byte. ticks.h decodes whole batches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "encode/message.h"
#include "status.h"

namespace pseudofeed::encode {

inline constexpr std::size_t kMaximumBlockTicks = kMaximumEntries;

// Bytes of a block of that many steps and instruments; 0 if no block can have them (one of them is 0, or
// steps x instruments > kMaximumBlockTicks).
constexpr std::size_t tick_block_size(std::size_t steps, std::size_t instruments) {
    if (steps == 0 || instruments == 0 || steps > kMaximumBlockTicks / instruments) return 0;
    return 8 + 24 + (4 + 4 * instruments) + (4 + 8 * steps) + (4 + 16 * steps * instruments);
}

// The input of a block. Borrows every pointer for the call.
struct TickBlockSource {
    std::uint64_t fingerprint = 0;
    std::uint32_t partition = 0;
    std::int64_t first_sequence = 0;        // >= 1; row j is step first_sequence + j
    std::size_t steps = 0;                  // T
    std::size_t instruments = 0;            // M
    const std::int64_t* times = nullptr;    // (T), ns since 1970, strictly ascending
    const std::int32_t* numbers = nullptr;  // (M), numbers in the market, >= 0, strictly ascending
    const double* prices = nullptr;         // (T, row_length), row-major
    const double* variances = nullptr;      // (T, row_length), row-major
    std::size_t row_length = 0;             // columns of prices and variances, >= M
    const std::int32_t* columns = nullptr;  // (M), the column of each instrument; nullptr: 0 .. M-1
};

// Encodes one block to `out`, which has room for `capacity` bytes; `*written` is tick_block_size(T, M). On failure
// (invalid_argument) neither is touched. Every double keeps all its bits, including NaN and -0.0.
Status encode_tick_block(const TickBlockSource& source, std::byte* out, std::size_t capacity, std::size_t* written);

// A message whose every length, count and invariant was checked. Borrows the message's bytes.
struct TickBlockView {
    Prefix prefix;  // its sequence is the first step's
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
// (malformed; the text says what was found, what was expected and at which byte) `*view` is not touched.
Status check_tick_block(Bytes message, TickBlockView* view);

}  // namespace pseudofeed::encode
