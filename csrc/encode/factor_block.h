// The factor block: many steps of all the factors of a market in one SBE message (template 3 of
// src/pseudofeed/encode/pseudofeed.sbe.xml; the layout with offsets is in docs/wire.md).
//
// An encoder checks all of its input before it writes its first byte. Decoding is two calls, `check_factor_blocks`
// (everything, for all messages) and `read_factor_blocks` (can't fail).
#pragma once

#include <cstddef>
#include <cstdint>

#include "encode/message.h"
#include "status.h"

namespace pseudofeed::encode {

// Bytes of a block of that many steps and factors; 0 if no block can have them (one of them is 0, or
// steps x factors > kMaximumEntries).
constexpr std::size_t factor_block_size(std::size_t steps, std::size_t factors) {
    if (steps == 0 || factors == 0 || steps > kMaximumEntries / factors) return 0;
    return kPrefixSize + 4 + (kGroupSize + 8 * steps) + (kGroupSize + 16 * steps * factors);
}

// The input of a block. Borrows every pointer for the call.
struct FactorBlockSource {
    std::uint64_t fingerprint = 0;
    std::uint32_t partition = 0;
    std::int64_t first_sequence = 0;      // >= 1; row j is step first_sequence + j
    std::size_t steps = 0;                // T
    std::size_t factors = 0;              // K
    const std::int64_t* times = nullptr;  // (T), ns since 1970, strictly ascending
    const double* increments = nullptr;   // (T, K), row-major: of the step that ends at the row's time
    const double* levels = nullptr;       // (T, K), row-major: after that step
};

// Encodes one block to `out`, which has room for `capacity` bytes; `*written` is factor_block_size(T, K). On failure
// (invalid_argument) neither is touched. Every double keeps all its bits.
Status encode_factor_block(const FactorBlockSource& source, std::byte* out, std::size_t capacity, std::size_t* written);

// A message whose every length, count and invariant was checked. Borrows the message's bytes.
struct FactorBlockView {
    Prefix prefix;  // its sequence is the first step's
    std::size_t factors = 0;
    Group steps;
    Group values;
};

// Checks one message. On failure (malformed) `*view` is not touched.
Status check_factor_block(Bytes message, FactorBlockView* view);

// Checks a batch, each message as above and for its fingerprint, partition and number of factors. `views` has room for
// `count`; `*rows` is the batch's number of steps x factors. On failure `*failed` is the index of the first bad
// message.
Status check_factor_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                           std::size_t factors, FactorBlockView* views, std::size_t* rows, std::size_t* failed);

// Where factors go, one entry a factor and step in each column, caller's memory.
struct FactorColumns {
    std::int64_t* time = nullptr;
    std::int64_t* sequence = nullptr;
    std::int32_t* number = nullptr;
    double* increment = nullptr;
    double* level = nullptr;
};

// Writes the factors of checked messages, one after the other, step after step.
void read_factor_blocks(const FactorBlockView* views, std::size_t count, FactorColumns columns);

}  // namespace pseudofeed::encode
