// Philox's published answers, and the corners of the elementary functions.
#include <cmath>
#include <limits>

#include "check.h"
#include "random/counters.h"
#include "random/normals.h"

using namespace pseudofeed::random;

namespace {

struct Block {
    std::uint32_t w0, w1, w2, w3;
};

Block philox(Block counter, std::uint32_t k0, std::uint32_t k1) {
    const auto out = philox4x32<std::uint64_t>({counter.w0, counter.w1, counter.w2, counter.w3},
                                               Key(k0 | static_cast<std::uint64_t>(k1) << 32));
    return {static_cast<std::uint32_t>(out.w0), static_cast<std::uint32_t>(out.w1), static_cast<std::uint32_t>(out.w2),
            static_cast<std::uint32_t>(out.w3)};
}

bool same_words(Words<std::uint64_t> a, Words<std::uint64_t> b) {
    const auto differ = [](std::uint64_t x, std::uint64_t y) { return static_cast<std::uint32_t>(x ^ y); };
    return (differ(a.w0, b.w0) | differ(a.w1, b.w1) | differ(a.w2, b.w2) | differ(a.w3, b.w3)) == 0;
}

}  // namespace

int main() {
    // Random123's kat_vectors: all zeros, all ones, digits of pi.
    const auto zeros = philox({0, 0, 0, 0}, 0, 0);
    CHECK(zeros.w0 == 0x6627e8d5 && zeros.w1 == 0xe169c58d && zeros.w2 == 0xbc57ac4c && zeros.w3 == 0x9b00dbd8);
    const auto ones = philox({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u);
    CHECK(ones.w0 == 0x408f276d && ones.w1 == 0x41c83b0e && ones.w2 == 0xa20bc7c6 && ones.w3 == 0x6d5451fd);
    const auto pi = philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0);
    CHECK(pi.w0 == 0xd16cfe09 && pi.w1 == 0x94fdcceb && pi.w2 == 0x5001e420 && pi.w3 == 0x24126ea1);

    // The short cut of many steps of one id.
    for (const std::uint64_t step : {0ull, 1ull, 0xFFFFFFFFull, 0x123456789ABCDEFull}) {
        const Key key(0xFEDCBA9876543210ull);
        const Stream<std::uint64_t> stream(key, 77, 0x503);
        CHECK(same_words(draw<std::uint64_t>(key, 77, step, 0x503), draw(key, stream, StepPart(key, step))));
    }

    // The extreme uniforms: never 0 under the logarithm, never an infinite normal.
    const auto least = uniforms<double>({0, 0, 0, 0});
    CHECK(least.u1 == 0x1p-53 && least.u2 == 0.0);
    const auto greatest = uniforms<double>({~0u, ~0u, ~0u, ~0u});
    CHECK(greatest.u1 == 1.0 && greatest.u2 == 1.0 - 0x1p-53);
    CHECK(std::isfinite(standard_normals<double>({0, 0, 0, 0}).z0));
    CHECK(standard_normals<double>({~0u, ~0u, ~0u, ~0u}).z0 == 0.0);

    CHECK(exponential(0.0) == 1.0);
    CHECK(std::isfinite(exponential(1e300)) && exponential(-1e300) > 0.0);
    CHECK(std::isnan(exponential(std::numeric_limits<double>::quiet_NaN())));
    CHECK(exponential_minus_1(0.0) == 0.0 && exponential_minus_1(-1e-300) == -1e-300);
    CHECK(exponential_minus_1(-1e9) == -1.0);
    CHECK(logarithm(1.0) == 0.0);
    CHECK(turn(0.25).sine == 1.0 && turn(0.5).cosine == -1.0 && turn(1.0).cosine == 1.0);
    return pseudofeed::test::result();
}
