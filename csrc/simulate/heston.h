// Heston paths with factor loadings and an own volatility: Euler on log prices with full truncation of the variance
// (Lord, Koekkoek and van Dijk 2010). For one instrument and step, with v+ = max(v, 0) and normals z_v, z_p:
//
//     S' = S exp((mu - (s^2 + b'Sigma b)/2) dt - v+ dt/2 + b'(dF - mu_F dt)
//                + sqrt(dt) (rho sqrt(v+) z_v + sqrt((1 - rho^2) v+ + s^2) z_p))
//     v' = v + kappa (theta - v+) dt + xi sqrt(dt) sqrt(v+) z_v
//
// The variance kept and given out is the scheme's own v, which full truncation lets dip below zero: (S, v) of a step is
// the whole state of an instrument.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::simulate {

// What is constant over a run, derived once; arrays of one entry an instrument, all borrowed.
struct HestonModel {
    std::size_t instruments;
    std::size_t factors;
    std::uint32_t substeps;      // of each step, at least 1; all that is called dt here is a substep's
    const std::uint32_t* ids;    // the counters' first word
    const double* drift_dt;      // (mu - (s^2 + b'Sigma b)/2) dt
    const double* kappa_dt;      // kappa dt
    const double* theta;         //
    const double* xi_sqrt_dt;    // xi sqrt(dt)
    const double* rho;           //
    const double* tail;          // 1 - rho^2
    const double* own_variance;  // s^2
    const double* loadings;      // b, factor-major: (factors, instruments)
    double half_dt;              // dt / 2
    double sqrt_dt;              //
};

// Borrows all pointers. shocks: dF - mu_F dt, (steps, factors) row-major. price and variance (instruments) hold the
// state before first_step and receive that after the last step. prices and variances: (steps, instruments) row-major,
// or both null to pass over the steps without keeping them. Fails with not_finite, naming instrument and step, where a
// price or variance left the range of doubles; the state is then as it was given.
Status heston_paths(const HestonModel& model, std::uint64_t seed, std::uint64_t first_step, std::size_t steps,
                    const double* shocks, double* price, double* variance, double* prices, double* variances);

// The instruction set that heston_paths runs on here: "avx512", "avx2" or "baseline". All return the same bits.
// PSEUDOFEED_ISA in the environment may ask for a lesser one, read at the first call.
const char* instruction_set();

}  // namespace pseudofeed::simulate
