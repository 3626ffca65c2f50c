// Two standard normals from one Philox draw, by Box and Muller's transform of two 53-bit uniforms: always exactly one
// draw, so it fits counters (a ziggurat or polar method would reject some).
#pragma once

#include <cmath>

#include "random/elementary.h"
#include "random/philox.h"

namespace pseudofeed::random {

// k 2^-53 of the 53 bits (high >> 5, low >> 6): each half fits an int32, whose conversion to double every set has.
static inline double uniform(std::uint32_t high, std::uint32_t low) {
    return (static_cast<double>(static_cast<std::int32_t>(high >> 5)) * 0x1p26 +
            static_cast<double>(static_cast<std::int32_t>(low >> 6))) *
           0x1p-53;
}

struct Uniforms {
    double u1, u2;  // u1 in (0, 1], u2 in [0, 1)
};

static inline Uniforms uniforms(Words words) {
    return {uniform(words.w0, words.w1) + 0x1p-53, uniform(words.w2, words.w3)};
}

struct Normals {
    double z0, z1;
};

static inline Normals standard_normals(Words words) {
    const Uniforms u = uniforms(words);
    const double radius = std::sqrt(-2.0 * logarithm(u.u1));
    const SineCosine angle = turn(u.u2);
    return {radius * angle.cosine, radius * angle.sine};
}

}  // namespace pseudofeed::random
