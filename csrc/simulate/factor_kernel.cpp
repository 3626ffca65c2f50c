// A lane is a step here: a market has few factors. Short loops over the chunk for the reason that heston_walk.h gives.
#include "simulate/factor_kernel.h"

#include "random/normals.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

void factor_normals(std::uint64_t seed, std::uint64_t factor, std::uint64_t step, double* normals) {
    using random::Doubles;
    using random::lane_count;
    using random::load;
    using random::store;
    using random::Words64;
    const random::Key key(seed);
    alignas(64) double angle[factor_chunk];
    std::uint64_t numbers[lane_count];
    for (std::size_t i = 0; i < lane_count; ++i) numbers[i] = step + i;
    Words64 steps = load(numbers);
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        const auto words = random::philox4x32<Words64>(
            {Words64::of(factor), steps, steps >> 32, Words64::of(random::factor_purpose)}, key);
        const auto u = random::uniforms<Doubles>(words);
        store(normals + i, u.u1);
        store(angle + i, u.u2);
        steps = steps + lane_count;
    }
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        store(normals + i, random::box_muller_radius(load(normals + i)));
    }
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        store(normals + i, load(normals + i) * random::turn(load(angle + i)).cosine);
    }
}

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
