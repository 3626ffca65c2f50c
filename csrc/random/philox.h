// Philox4x32-10: a keyed bijection of 128-bit counters (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). A draw is a function of (seed, id, step, purpose) and of nothing that came before it.
//
// Its 32-bit words are kept in the low halves of 64-bit ones, one or a register full of them (lanes.h), whose high
// halves hold anything: a round's products take the low halves only, and so does whoever reads the result. So a round
// is two multiplications, two shifts and four exclusive ors, without a permute or a mask.
#pragma once

#include <cstdint>
#include <utility>

#include "random/lanes.h"

namespace pseudofeed::random::inline PSEUDOFEED_SET {

// The counter's last word. Substep n of a step draws with purpose + (n << 8).
enum Purpose : std::uint32_t {
    instrument_purpose = 0,
    factor_purpose = 1,
    parameter_purpose = 2,
    variance_purpose = 3,
};

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

// The draws of ids at a step: key = the seed, counter = (id, step low, step high, purpose).
template <class W>
static inline Words<W> draw(Key key, W id, std::uint64_t step, std::uint32_t purpose) {
    return philox4x32<W>({id, every<W>(step), every<W>(step >> 32), every<W>(purpose)}, key);
}

// The same draws where many steps are drawn for one id and purpose. Of the first two rounds half does not depend on the
// step, and the other half not on the id: what is left of them is two exclusive ors.
template <class W>
struct Stream {
    W w0, w1, w2;  // of the id and purpose, after two rounds; w0 and w2 still lack the step's part

    Stream(W w0_of, W w1_of, W w2_of) : w0(w0_of), w1(w1_of), w2(w2_of) {}

    Stream(Key key, W id, std::uint32_t purpose) {
        const W product0 = multiply_low(id, every<W>(philox_multiplier0));
        const W second = (product0 >> 32) ^ purpose ^ key.second(0);
        w1 = multiply_low(second, every<W>(philox_multiplier1));
        w0 = (w1 >> 32) ^ key.first(1);
        w2 = product0 ^ key.second(1);
    }
};

struct StepPart {
    std::uint64_t w0, w2, w3;

    StepPart(Key key, std::uint64_t step) {
        const std::uint64_t product1 = multiply_low(step >> 32, philox_multiplier1);
        const std::uint64_t first = (product1 >> 32) ^ static_cast<std::uint32_t>(step) ^ key.first(0);
        w3 = multiply_low(first, philox_multiplier0);
        w0 = product1;
        w2 = w3 >> 32;
    }
};

template <class W>
static inline Words<W> draw(Key key, const Stream<W>& stream, const StepPart& step) {
    const Words<W> after_two = {stream.w0 ^ step.w0, stream.w1, stream.w2 ^ step.w2, every<W>(step.w3)};
    return philox_rounds<2>(after_two, key, std::make_integer_sequence<std::uint32_t, 8>{});
}

}  // namespace pseudofeed::random::inline PSEUDOFEED_SET
