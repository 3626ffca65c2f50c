// A lane is a step here: a market has few factors. Short loops over the chunk for the reason that heston_walk.h gives.
#include "simulate/factor_kernel.h"

#include "random/counters.h"
#include "random/normals.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

void factor_normals(std::uint64_t key, std::uint64_t factor, const std::uint64_t* steps, double* normals) {
    using random::Doubles;
    using random::lane_count;
    using random::load;
    using random::store;
    using random::Words64;
    const random::Key words_key(key);
    const Words64 purpose = Words64::of(random::purpose_word(random::factor_purpose));
    alignas(64) double angle[factor_chunk];
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        const Words64 step = load(steps + i);
        const auto words = random::philox4x32<Words64>({Words64::of(factor), step, step >> 32, purpose}, words_key);
        const auto u = random::uniforms<Doubles>(words);
        store(normals + i, u.u1);
        store(angle + i, u.u2);
    }
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        store(normals + i, random::box_muller_radius(load(normals + i)));
    }
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        store(normals + i, load(normals + i) * random::turn(load(angle + i)).cosine);
    }
}

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
