// Correlated factor increments dF = mu dt + L z sqrt(dt), L L' = diag(sigma) C diag(sigma), and their levels, the
// running sums.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::simulate {

// Writes the lower triangle (zeros above) of the Cholesky factor of covariance, both (factors, factors) row-major.
// A semi-definite matrix is accepted: a pivot within rounding of zero gives a zero column. Fails with invalid_argument,
// naming the pivot, where the matrix is not positive semi-definite.
Status cholesky(const double* covariance, std::size_t factors, double* lower);

// Borrows all pointers. Writes increments and levels, (steps, factors) row-major each, for the steps first_step ... ;
// level_state (factors) holds the levels before the first step and receives those after the last.
void factor_paths(const double* lower, const double* drift_dt, double sqrt_dt, std::size_t factors, std::uint64_t seed,
                  std::uint64_t first_step, std::size_t steps, double* level_state, double* increments, double* levels);

}  // namespace pseudofeed::simulate
