// The bar block: bars of one length of one partition's instruments in one SBE message (template 4 of
// src/pseudofeed/encode/pseudofeed.sbe.xml; the layout with offsets stands in docs/wire.md).
//
// An encoder checks all of its input before it writes its first byte. Decoding is two calls, `check_bar_blocks`
// (everything, for all messages) and `read_bar_blocks` (can't fail).
#pragma once

#include <cstddef>
#include <cstdint>

#include "encode/message.h"
#include "status.h"

namespace pseudofeed::encode {

inline constexpr std::size_t kBarSize = 64;

// Bytes of a block of that many bars; 0 where no block can have them: a block has 1 .. kMaximumEntries.
constexpr std::size_t bar_block_size(std::size_t bars) {
    if (bars == 0 || bars > kMaximumEntries) return 0;
    return kPrefixSize + 12 + kGroupSize + kBarSize * bars;
}

// What all bars of a block share.
struct BarBlockHeader {
    Prefix prefix;            // its sequence: the newest step that the writer had taken in
    std::int64_t length = 0;  // of each bar, ns, >= 1
    bool final = false;       // these bars don't change any more; otherwise updates, each replaces the one before it
};

// Bars in columns, one entry a bar in each; caller's memory. In a block they ascend by (opening_time, instrument).
template <typename Int64, typename Int32, typename Uint32, typename Double>
struct BarPointers {
    Int64* opening_time = nullptr;  // ns since the epoch; the bar is [opening_time, opening_time + length)
    Int32* instrument = nullptr;    // number in the market, >= 0
    Double* open = nullptr;         // prices, carried bit for bit
    Double* high = nullptr;
    Double* low = nullptr;
    Double* close = nullptr;
    Int64* first_sequence = nullptr;  // of the bar's ticks, >= 1
    Int64* last_sequence = nullptr;   // >= first_sequence, <= the header's sequence
    Uint32* ticks = nullptr;          // how many, 1 .. last_sequence - first_sequence + 1
};
using BarSource = BarPointers<const std::int64_t, const std::int32_t, const std::uint32_t, const double>;

// The columns that decoding fills: also what the bars' block says of them all.
struct BarColumns : BarPointers<std::int64_t, std::int32_t, std::uint32_t, double> {
    std::int64_t* length = nullptr;
    std::uint8_t* final = nullptr;  // 0 or 1
};

// Encodes one block to `out`, which has room for `capacity` bytes; `*written` is bar_block_size(bars). On failure
// (invalid_argument) neither is touched.
Status encode_bar_block(const BarBlockHeader& header, const BarSource& source, std::size_t bars, std::byte* out,
                        std::size_t capacity, std::size_t* written);

// A message whose every length, count and invariant was checked. Borrows the message's bytes.
struct BarBlockView {
    BarBlockHeader header;
    Group bars;
};

// Checks one message. On failure (malformed) `*view` is not touched.
Status check_bar_block(Bytes message, BarBlockView* view);

// Checks a batch, each message as above and for its fingerprint and partition. `views` has room for `count`; `*bars` is
// the batch's number of bars. On failure `*failed` is the index of the first bad message.
Status check_bar_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                        BarBlockView* views, std::size_t* bars, std::size_t* failed);

// Writes the bars of checked messages, one after the other.
void read_bar_blocks(const BarBlockView* views, std::size_t count, const BarColumns& columns);

}  // namespace pseudofeed::encode
