// Correlated factor increments dF = mu dt + R z sqrt(dt), R R' = diag(sigma) C diag(sigma), and their levels, the
// running sums.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::simulate {

// Borrows all pointers. Writes increments and levels, (steps, factors) row-major each, for the steps first_step ... ;
// level_state (factors) holds the levels before the first step and receives those after the last.
void factor_paths(const double* root, const double* drift_dt, double sqrt_dt, std::size_t factors, std::uint64_t seed,
                  std::uint64_t first_step, std::size_t steps, double* level_state, double* increments, double* levels);

}  // namespace pseudofeed::simulate
