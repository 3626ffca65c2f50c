// Philox4x32-10: a keyed bijection of 128-bit counters (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). A draw is a function of (seed, id, step, purpose) and of nothing that came before it.
//
// Everything in csrc/random is `static inline`: the kernels that include it are compiled once for each instruction set,
// and a function with external linkage would let the linker keep one set's copy for all.
#pragma once

#include <cstdint>
#include <utility>

namespace pseudofeed::random {

// The counter's last word. Substep n of a step draws with purpose + (n << 8).
enum Purpose : std::uint32_t {
    instrument_purpose = 0,
    factor_purpose = 1,
    parameter_purpose = 2,
};

struct Words {
    std::uint32_t w0, w1, w2, w3;
};

static inline Words philox_round(Words counter, std::uint32_t key0, std::uint32_t key1) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.w0;
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.w2;
    return {static_cast<std::uint32_t>(product1 >> 32) ^ counter.w1 ^ key0, static_cast<std::uint32_t>(product1),
            static_cast<std::uint32_t>(product0 >> 32) ^ counter.w3 ^ key1, static_cast<std::uint32_t>(product0)};
}

// The rounds are a fold, not a loop: GCC vectorises a loop over counters only where it holds no loop.
template <std::uint32_t... Round>
static inline Words philox_rounds(Words counter, std::uint32_t key0, std::uint32_t key1,
                                  std::integer_sequence<std::uint32_t, Round...>) {
    ((counter = philox_round(counter, key0 + Round * 0x9E3779B9u, key1 + Round * 0xBB67AE85u)), ...);
    return counter;
}

static inline Words philox4x32(Words counter, std::uint32_t key0, std::uint32_t key1) {
    return philox_rounds(counter, key0, key1, std::make_integer_sequence<std::uint32_t, 10>{});
}

// The draw of an id at a step: key = the seed, counter = (id, step low, step high, purpose).
static inline Words draw(std::uint64_t seed, std::uint32_t id, std::uint64_t step, std::uint32_t purpose) {
    return philox4x32({id, static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), purpose},
                      static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

}  // namespace pseudofeed::random
