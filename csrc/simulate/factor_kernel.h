// The draws of factor_paths.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::simulate {

// Steps drawn at once: whole registers of every set, and a row of each factor stays in the first-level cache.
constexpr std::size_t factor_chunk = 64;

// Writes factor_chunk standard normals: a factor's at the steps from `step` on.
using FactorKernel = void (*)(std::uint64_t seed, std::uint64_t factor, std::uint64_t step, double* normals);

}  // namespace pseudofeed::simulate
