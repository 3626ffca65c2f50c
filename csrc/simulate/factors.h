// Correlated factor increments dF = mu dt + R z sqrt(dt), R R' = diag(sigma) C diag(sigma), and their levels, the
// running sums. Each step has its own dt; the increment of a step after a night includes that of the night.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simulate/steps.h"
#include "status.h"

namespace pseudofeed::simulate {

// Borrows all pointers; arrays are row-major.
struct FactorWalk {
    std::size_t factors;
    const double* root;   // (factors, factors), per square root of a year
    const double* drift;  // (factors), per year
    std::uint64_t key;    // of the draws (random/counters.h)
    Steps steps;
    double* level;         // (factors): before the first step; receives those after the last
    double* increments;    // (steps, factors)
    double* levels;        // (steps, factors)
    double* shocks;        // (steps, factors): the increments in trading less their drift, for HestonWalk; or null
    double* night_shocks;  // (nights, factors): the same of each night; null where there are none
    Interruption interruption;
};

// Walks the factors through the steps. Fails with interrupted, bad_setting or out_of_memory; then the levels are
// unchanged, and the other arrays undefined.
Status walk_factors(const FactorWalk& walk);

}  // namespace pseudofeed::simulate
