#include "simulate/factors.h"

#include <cmath>
#include <limits>
#include <vector>

#include "random/normals.h"

namespace pseudofeed::simulate {

Status cholesky(const double* covariance, std::size_t factors, double* lower) {
    // What rounding leaves of an exactly singular matrix's pivot is some units of the last place of its diagonal.
    const double tolerance = 8.0 * static_cast<double>(factors) * std::numeric_limits<double>::epsilon();
    for (std::size_t i = 0; i < factors * factors; ++i) lower[i] = 0.0;
    for (std::size_t j = 0; j < factors; ++j) {
        double pivot = covariance[j * factors + j];
        const double scale = pivot;
        for (std::size_t k = 0; k < j; ++k) pivot -= lower[j * factors + k] * lower[j * factors + k];
        if (!(pivot >= -tolerance * scale)) {
            return failure(Code::invalid_argument,
                           "the covariance matrix of the factors is not positive semi-definite: pivot %zu is %g", j,
                           pivot);
        }
        const bool degenerate = pivot <= tolerance * scale;
        const double root = degenerate ? 0.0 : std::sqrt(pivot);
        lower[j * factors + j] = root;
        for (std::size_t i = j + 1; i < factors; ++i) {
            double rest = covariance[i * factors + j];
            for (std::size_t k = 0; k < j; ++k) rest -= lower[i * factors + k] * lower[j * factors + k];
            if (!degenerate) {
                lower[i * factors + j] = rest / root;
            } else if (std::fabs(rest) > std::sqrt(tolerance * scale * covariance[i * factors + i])) {
                return failure(Code::invalid_argument,
                               "the covariance matrix of the factors is not positive semi-definite: "
                               "pivot %zu is 0 but its covariance with %zu leaves %g",
                               j, i, rest);
            }
        }
    }
    return {};
}

void factor_paths(const double* lower, const double* drift_dt, double sqrt_dt, std::size_t factors, std::uint64_t seed,
                  std::uint64_t first_step, std::size_t steps, double* level_state, double* increments,
                  double* levels) {
    const random::Key key(seed);
    std::vector<double> z(factors);
    for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t k = 0; k < factors; ++k) {
            const auto words = random::draw<std::uint64_t>(key, k, first_step + t, random::factor_purpose);
            z[k] = random::standard_normals<double>(words).z0;
        }
        for (std::size_t k = 0; k < factors; ++k) {
            double correlated = 0.0;
            for (std::size_t j = 0; j <= k; ++j) correlated += lower[k * factors + j] * z[j];
            const double increment = drift_dt[k] + sqrt_dt * correlated;
            level_state[k] += increment;
            increments[t * factors + k] = increment;
            levels[t * factors + k] = level_state[k];
        }
    }
}

}  // namespace pseudofeed::simulate
