// CRC-32 by carry-less multiplication, once for registers of any width. Source: Gopal, Ozturk, Guilford, Wolrich,
// Feghali, Dixon, Karakoyunlu, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel,
// 2009); registers of several lanes of 16 bytes are folded as those of one, over longer distances.
//
// The sum is the remainder of the message, a polynomial over GF(2), by P. So 16 bytes that stand d bytes ahead of 16
// others may be added to those, once they are multiplied by something congruent to x^(8 d): the message folds into its
// last bytes. Four registers side by side hide the multiplication's latency:
//
//     message   | r0 r1 r2 r3 | r0 r1 r2 r3 | ... | r0 r1 r2 r3 | r | r | rest |
//     folded by      four registers, four, ..., then by one          -> a register and the rest, for a narrower kernel
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "encode/crc32.h"

namespace pseudofeed::encode {

// What carries a lane's first and second 8 bytes over `distance` bytes: x^(8 distance + 32) and x^(8 distance - 32) mod
// P, reflected, and shifted by one bit, as the product of two reflected numbers needs it.
// tests/reference/crc32_constants.py prints them, and tests/unit/test_crc32.py compares.
struct FoldFactors {
    std::size_t distance;
    std::uint64_t first, second;
};

inline constexpr std::array kFoldFactors = {
    FoldFactors{16, 0x1751997d0, 0x0ccaa009e},
    FoldFactors{64, 0x154442bd4, 0x1c6e41596},
    FoldFactors{256, 0x11542778a, 0x1322d1430},
};

template <std::size_t distance>
consteval FoldFactors fold_factors() {
    for (const FoldFactors& factors : kFoldFactors) {
        if (factors.distance == distance) return factors;
    }
    throw "there are no factors for this distance";
}

// A Register has `size` bytes, in lanes of 16:
//   static Register load(const std::byte*)
//   void store(std::byte*) const
//   static Register factors(FoldFactors)                      the two factors in each lane
//   Register folded(Register factors, Register behind) const  each lane carried over the factors' distance, plus
//   `behind` void add(std::uint32_t)                                   to its first four bytes
// `narrower` does what is shorter than four registers, and the end.
template <typename Register, Crc32 narrower>
std::uint32_t fold_crc32(const std::byte* data, std::size_t size, std::uint32_t sum) {
    constexpr std::size_t width = Register::size;
    constexpr std::size_t four = 4 * width;
    if (size < four) return narrower(data, size, sum);

    Register r0 = Register::load(data);
    Register r1 = Register::load(data + width);
    Register r2 = Register::load(data + 2 * width);
    Register r3 = Register::load(data + 3 * width);
    r0.add(~sum);
    data += four;
    size -= four;
    const Register over_four = Register::factors(fold_factors<four>());
    for (; size >= four; size -= four, data += four) {
        r0 = r0.folded(over_four, Register::load(data));
        r1 = r1.folded(over_four, Register::load(data + width));
        r2 = r2.folded(over_four, Register::load(data + 2 * width));
        r3 = r3.folded(over_four, Register::load(data + 3 * width));
    }

    const Register over_one = Register::factors(fold_factors<width>());
    Register last = r0.folded(over_one, r1).folded(over_one, r2).folded(over_one, r3);
    for (; size >= width; size -= width, data += width) last = last.folded(over_one, Register::load(data));

    // The folded bytes are a message whose sum starts at zero: ours starts with what add() has put in.
    std::byte bytes[width];
    last.store(bytes);
    return narrower(data, size, narrower(bytes, width, ~std::uint32_t{0}));
}

}  // namespace pseudofeed::encode
