// The draws of factor_paths.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::simulate {

// Steps drawn at once: whole registers of every set, and a row of each factor stays in the first-level cache.
constexpr std::size_t factor_chunk = 64;

// Writes factor_chunk standard normals: a factor's at factor_chunk steps (the counters': a night's with its mark).
using FactorKernel = void (*)(std::uint64_t key, std::uint64_t factor, const std::uint64_t* steps, double* normals);

}  // namespace pseudofeed::simulate
