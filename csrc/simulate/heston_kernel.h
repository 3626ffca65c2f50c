// The inner loop of heston_paths, compiled once for each instruction set (heston_kernel.cpp).
#pragma once

#include "simulate/heston.h"

namespace pseudofeed::simulate {

// Instruments in a tile: their state and the draws of a step stay in the first-level cache (64 x 8 bytes an array), and
// a tile's row in the output is whole cache lines.
constexpr std::size_t tile_width = 64;

// Steps of `width` <= tile_width instruments from `first`; prices and variances point at the tile's first column, their
// rows are model.instruments apart.
using HestonTile = void (*)(const HestonModel& model, std::size_t first, std::size_t width, std::uint64_t seed,
                            std::uint64_t first_step, std::size_t steps, const double* shocks, double* price,
                            double* variance, double* prices, double* variances);

#define PSEUDOFEED_DECLARE_TILE(set)                                                                           \
    void heston_tile_##set(const HestonModel& model, std::size_t first, std::size_t width, std::uint64_t seed, \
                           std::uint64_t first_step, std::size_t steps, const double* shocks, double* price,   \
                           double* variance, double* prices, double* variances)

PSEUDOFEED_DECLARE_TILE(baseline);
#if defined(PSEUDOFEED_X86_DISPATCH)
PSEUDOFEED_DECLARE_TILE(avx2);
PSEUDOFEED_DECLARE_TILE(avx512);
#endif

}  // namespace pseudofeed::simulate
