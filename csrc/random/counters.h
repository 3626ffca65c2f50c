// The inputs of the random numbers: every field of Philox's key and counter, defined here and nowhere else (Python
// reads them from pseudofeed.random._random).
//
//     key      = the seed of the market, or the key of one of its paths; two 32-bit words
//     counter  = (id, step low, step high, purpose + (substep << 8))
//
// id: the number of an instrument or a factor; for the key of a path, the path's number. step: of the simulation, from
// 1 on, with the mark `night` for the night before it; for a drawn parameter, its number. Changing any value here
// changes every market: the golden hashes of tests/vectors/golden_markets.txt fail.
#pragma once

#include <cstdint>

#include "random/philox.h"

namespace pseudofeed::random {

// The low byte of the counter's last word. A new purpose gets a new number.
enum Purpose : std::uint32_t {
    instrument_purpose = 0,  // an instrument's two normals of a substep
    factor_purpose = 1,      // a factor's normal of a step
    parameter_purpose = 2,   // an instrument's drawn parameter; always by the market's seed, whatever the path
    variance_purpose = 3,    // the uniform of the qe scheme's exponential branch
    path_purpose = 4,        // the key of a path
};

constexpr unsigned substep_shift = 8;
constexpr std::uint32_t most_substeps = 65'536;  // of the 2^24 that the field holds

constexpr std::uint32_t purpose_word(Purpose purpose, std::uint32_t substep = 0) {
    return purpose + (substep << substep_shift);
}

// In the counter's step: these are the draws of the night before the step.
constexpr std::uint64_t night_mark = std::uint64_t{1} << 63;

// Used in place of the step: which parameter of an instrument is drawn. Loading k is first_loading + k; numbers from
// 128 on are for parameters of later features (a market has at most 64 factors).
enum ParameterNumber : std::uint64_t {
    initial_price_number = 0,
    initial_variance_number = 1,
    drift_number = 2,
    kappa_number = 3,
    theta_number = 4,
    xi_number = 5,
    rho_number = 6,
    idiosyncratic_volatility_number = 7,
    first_loading_number = 16,
};

inline namespace PSEUDOFEED_SET {

// The draws of an id at a step.
template <class W>
static inline Words<W> draw(Key key, W id, std::uint64_t step, std::uint32_t purpose) {
    return philox4x32<W>({id, every<W>(step), every<W>(step >> 32), every<W>(purpose)}, key);
}

// The key of a market's path: the seed itself for path 0; for path k, 1 to 2^32 - 1, the first two words drawn with the
// seed as key and (k, 0, 0, path_purpose) as counter. The parameters of all paths are those of the seed.
static inline std::uint64_t path_key(std::uint64_t seed, std::uint32_t path) {
    if (path == 0) return seed;
    const auto words = draw<std::uint64_t>(Key(seed), path, 0, path_purpose);
    return (words.w0 & 0xFFFFFFFFu) | (words.w1 << 32);
}

// The same draws, for many steps of one id and purpose. In the first two rounds, one half does not depend on the step,
// and the other half not on the id: two exclusive ors combine them.
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

}  // namespace PSEUDOFEED_SET

}  // namespace pseudofeed::random
