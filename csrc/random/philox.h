// Philox4x32-10: a keyed bijection of 128-bit counters (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). Key and counter are defined in counters.h.
//
// Its 32-bit words are kept in the low halves of 64-bit ones, one or a register full of them (lanes.h), whose high
// halves are undefined: a round's products use the low halves only, and so must readers of the result. So a round is
// two multiplications, two shifts and four exclusive ors, without a permute or a mask.
#pragma once

#include <cstdint>
#include <utility>

#include "random/lanes.h"

namespace pseudofeed::random::inline PSEUDOFEED_SET {

template <class W>
struct Words {
    W w0, w1, w2, w3;
};

constexpr std::uint64_t philox_multiplier0 = 0xD2511F53u;
constexpr std::uint64_t philox_multiplier1 = 0xCD9E8D57u;

struct Key {
    std::uint32_t k0, k1;

    explicit Key(std::uint64_t seed)
        : k0(static_cast<std::uint32_t>(seed)), k1(static_cast<std::uint32_t>(seed >> 32)) {}

    std::uint64_t first(std::uint32_t round) const { return static_cast<std::uint32_t>(k0 + round * 0x9E3779B9u); }
    std::uint64_t second(std::uint32_t round) const { return static_cast<std::uint32_t>(k1 + round * 0xBB67AE85u); }
};

template <class W>
static inline Words<W> philox_round(Words<W> counter, Key key, std::uint32_t round) {
    const W product0 = multiply_low(counter.w0, every<W>(philox_multiplier0));
    const W product1 = multiply_low(counter.w2, every<W>(philox_multiplier1));
    return {(product1 >> 32) ^ counter.w1 ^ key.first(round), product1,
            (product0 >> 32) ^ counter.w3 ^ key.second(round), product0};
}

template <std::uint32_t First, class W, std::uint32_t... Round>
static inline Words<W> philox_rounds(Words<W> counter, Key key, std::integer_sequence<std::uint32_t, Round...>) {
    ((counter = philox_round(counter, key, First + Round)), ...);
    return counter;
}

template <class W>
static inline Words<W> philox4x32(Words<W> counter, Key key) {
    return philox_rounds<0>(counter, key, std::make_integer_sequence<std::uint32_t, 10>{});
}

}  // namespace pseudofeed::random::inline PSEUDOFEED_SET
