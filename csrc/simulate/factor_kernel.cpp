// A lane is a step here: a market has few factors.
#include "simulate/factor_kernel.h"

#include "random/normals.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

void factor_normals(std::uint64_t seed, std::uint64_t factor, std::uint64_t step, double* normals) {
    using random::lane_count;
    using random::Words64;
    const random::Key key(seed);
    std::uint64_t numbers[lane_count];
    for (std::size_t i = 0; i < lane_count; ++i) numbers[i] = step + i;
    Words64 steps = random::load(numbers);
    for (std::size_t i = 0; i < factor_chunk; i += lane_count) {
        const auto words = random::philox4x32<Words64>(
            {Words64::of(factor), steps, steps >> 32, Words64::of(random::factor_purpose)}, key);
        random::store(normals + i, random::standard_normals<random::Doubles>(words).z0);
        steps = steps + lane_count;
    }
}

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
