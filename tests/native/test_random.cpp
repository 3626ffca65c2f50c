// Philox's published answers, and the corners of the elementary functions.
#include <cmath>
#include <limits>

#include "check.h"
#include "random/normals.h"

using namespace pseudofeed::random;

int main() {
    // Random123's kat_vectors: all zeros, all ones, digits of pi.
    const Words zeros = philox4x32({0, 0, 0, 0}, 0, 0);
    CHECK(zeros.w0 == 0x6627e8d5 && zeros.w1 == 0xe169c58d && zeros.w2 == 0xbc57ac4c && zeros.w3 == 0x9b00dbd8);
    const Words ones = philox4x32({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u);
    CHECK(ones.w0 == 0x408f276d && ones.w1 == 0x41c83b0e && ones.w2 == 0xa20bc7c6 && ones.w3 == 0x6d5451fd);
    const Words pi = philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0);
    CHECK(pi.w0 == 0xd16cfe09 && pi.w1 == 0x94fdcceb && pi.w2 == 0x5001e420 && pi.w3 == 0x24126ea1);

    // The extreme uniforms: never 0 under the logarithm, never an infinite normal.
    const Uniforms least = uniforms({0, 0, 0, 0});
    CHECK(least.u1 == 0x1p-53 && least.u2 == 0.0);
    const Uniforms greatest = uniforms({~0u, ~0u, ~0u, ~0u});
    CHECK(greatest.u1 == 1.0 && greatest.u2 == 1.0 - 0x1p-53);
    CHECK(std::isfinite(standard_normals({0, 0, 0, 0}).z0));
    CHECK(standard_normals({~0u, ~0u, ~0u, ~0u}).z0 == 0.0);

    CHECK(exponential(0.0) == 1.0);
    CHECK(std::isfinite(exponential(1e300)) && exponential(-1e300) > 0.0);
    CHECK(std::isnan(exponential(std::numeric_limits<double>::quiet_NaN())));
    CHECK(logarithm(1.0) == 0.0);
    CHECK(turn(0.25).sine == 1.0 && turn(0.5).cosine == -1.0 && turn(1.0).cosine == 1.0);
    return pseudofeed::test::result();
}
