// A root of a covariance matrix, by our own loops: the bits of every tick depend on it.
#pragma once

#include <cstddef>

#include "status.h"

namespace pseudofeed::random {

// Writes a root R of the covariance matrix, R R' = covariance, both (factors, factors) row-major: its Cholesky factor
// (lower triangular), or, if it is singular, that of a pivoted decomposition (a Cholesky factor with its rows in
// another order). Fails with invalid_argument if the matrix is not positive semi-definite. May throw std::bad_alloc.
Status cholesky(const double* covariance, std::size_t factors, double* root);

}  // namespace pseudofeed::random
