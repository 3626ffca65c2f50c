// The inner loops of HestonModel::walk: one function for each scheme and instruction set. Their parameters are rows,
// derived by heston_model.cpp, whose numbers are the names below.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simulate/heston.h"

namespace pseudofeed::simulate {

// Instruments that a kernel walks together: their state and parameters stay in the first-level cache (512 bytes a row),
// and their part of a row of the output is whole cache lines. 32 and 128 are no faster (AVX-512, 1,000
// instruments: 84.9, 85.2, 84.5 M instrument-steps/s; AVX2: 59.2, 60.2, 61.0).
constexpr std::size_t tile_width = 64;

// dt is a substep's.
namespace euler {
enum Row : std::size_t {
    drift_dt,      // (mu - (s^2 + b'Sigma b)/2) dt
    kappa_dt,      // kappa dt
    theta,         //
    xi_sqrt_dt,    // xi sqrt(dt)
    rho,           //
    tail,          // 1 - rho^2
    own_variance,  // s^2
    row_count
};
}

// q = 1 - exp(-kappa dt), c = q / kappa (dt where kappa is 0).
namespace qe {
enum Row : std::size_t {
    drift_dt,        // (mu - (s^2 + b'Sigma b)/2) dt
    decay,           // exp(-kappa dt)
    pull,            // theta q
    spread_v,        // c exp(-kappa dt)
    spread_theta,    // theta q c / 2
    xi,              //
    lift,            // rho (1 + kappa dt / 2)
    alpha,           // rho (1 + kappa dt / 2) - xi rho^2 dt / 4
    quarter_rho,     // rho^2 dt / 4
    tail_dt,         // (1 - rho^2) dt / 2
    own_dt,          // s^2 dt
    uncorrected,     // (rho / xi) (q (1 + kappa dt / 2) - kappa dt), 0 where xi is 0
    uncorrected_at,  // the same times theta
    row_count
};
}

constexpr std::size_t parameter_count(Scheme scheme) {
    return scheme == Scheme::qe ? std::size_t{qe::row_count} : std::size_t{euler::row_count};
}

// Borrows all pointers. Some instruments and what they do.
struct HestonTile {
    const double* parameters;  // (row_count, instruments) of the scheme, rows `stride` apart
    const double* loadings;    // (factors, instruments), rows `stride` apart
    const std::uint64_t* ids;
    std::size_t stride;
    std::size_t width;  // instruments, 1 to tile_width; the rows and the state hold tile_width
    std::size_t factors;
    double dt, sqrt_dt;  // of a substep
    std::uint64_t seed;
    std::uint32_t substeps;
    std::uint64_t first_step;
    std::size_t steps;
    const double* shocks;  // (steps, factors)
    double* price;         // the state, moved on
    double* variance;
    double* prices;  // the first instrument's entry of the first step, or null; steps are `row` entries apart
    double* variances;
    std::size_t row;
};

using HestonKernel = void (*)(const HestonTile& tile);

}  // namespace pseudofeed::simulate
