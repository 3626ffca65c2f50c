// The inner loops of HestonModel::walk: for each scheme and instruction set one function that walks a tile through
// segments, and one that derives the rows of a substep's length (scheme.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::simulate {

// Most instruments of a tile, which a kernel walks together. Their state and parameters stay in the first-level cache
// (512 bytes a row), and their columns of an output row are whole cache lines. 32 and 128 are no faster (AVX-512, 1,000
// instruments: 84.9, 85.2, 84.5 M instrument-steps/s; AVX2: 59.2, 60.2, 61.0).
constexpr std::size_t tile_width = 64;

// Consecutive steps of one length, or a night, or some substeps of one step. Borrows all pointers.
struct Segment {
    std::uint64_t step;  // of the counters: the first step's number; with the mark of random/counters.h for a night
    std::size_t steps;
    std::uint32_t begin, end;  // substeps of each step; not all of them only where `steps` is 1
    double dt, sqrt_dt;        // of a substep
    const double* derived;     // rows of all instruments for this dt; or null: the kernel derives its tile's
    const double* shocks;      // (steps, factors)
    std::size_t row;           // where the first step goes in prices and variances, or `kept_nowhere`

    static constexpr std::size_t kept_nowhere = SIZE_MAX;
    std::size_t substeps() const { return steps * (end - begin); }
};

// A tile: the instruments that a kernel call walks, and through which segments. Borrows all pointers. Rows are `stride`
// entries apart, padded to whole multiples of tile_width.
struct HestonTile {
    const double* constants;  // rows of the scheme
    const double* loadings;   // (factors) rows
    const std::uint64_t* ids;
    std::size_t stride;
    std::size_t first;  // the tile's first instrument: where it begins in derived rows
    std::size_t width;  // instruments, 1 to tile_width
    std::size_t factors;
    std::uint64_t key;
    const Segment* segments;
    std::size_t segment_count;
    double* price;  // the state, moved on: tile_width entries, beyond the width 1 and 0
    double* variance;
    double* prices;  // the tile's first entry of row 0, or null; rows are `row` entries apart
    double* variances;
    double* old_prices;  // where the rows go that are overwritten, in the same places, or null
    double* old_variances;
    std::size_t row;
};

// The range of the prices at all steps of a call. NaN may be missing from it: the caller finds that in the state, since
// a price or variance that is not finite never becomes finite again.
struct PriceRange {
    double lowest, highest;
};

using HestonKernel = PriceRange (*)(const HestonTile& tile);

// Writes the derived rows of `instruments` instruments (whole lanes of every set); all rows are `stride` apart.
using DeriveKernel = void (*)(const double* constants, std::size_t stride, std::size_t instruments, double dt,
                              double* derived);

}  // namespace pseudofeed::simulate
