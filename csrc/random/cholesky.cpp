#include "random/cholesky.h"

#include <cmath>
#include <limits>
#include <vector>

#include "floating_point.h"

namespace pseudofeed::random {

namespace {

// In the factors' own order; false where a pivot is within rounding of zero, or below.
bool plain_cholesky(const double* covariance, std::size_t factors, double* lower) {
    const double tolerance = 8.0 * static_cast<double>(factors) * std::numeric_limits<double>::epsilon();
    for (std::size_t i = 0; i < factors * factors; ++i) lower[i] = 0.0;
    for (std::size_t j = 0; j < factors; ++j) {
        double pivot = covariance[j * factors + j];
        const double least = tolerance * pivot;
        for (std::size_t k = 0; k < j; ++k) pivot -= lower[j * factors + k] * lower[j * factors + k];
        if (!(pivot > least)) return false;
        const double root = std::sqrt(pivot);
        lower[j * factors + j] = root;
        for (std::size_t i = j + 1; i < factors; ++i) {
            double rest = covariance[i * factors + j];
            for (std::size_t k = 0; k < j; ++k) rest -= lower[i * factors + k] * lower[j * factors + k];
            lower[i * factors + j] = rest / root;
        }
    }
    return true;
}

// How much of a correlation may stay unexplained: room for entries typed with 9 digits.
constexpr double unexplained = 1e-8;

// The factor with the largest share of its variance left comes next, until nothing is left that counts: of a singular
// matrix the small pivots, which magnify what rounding leaves, are so never divided by.
Status pivoted_cholesky(const double* covariance, std::size_t factors, double* root) {
    const auto variance_of = [=](std::size_t i) { return covariance[i * factors + i]; };
    std::vector<double> rest(covariance, covariance + factors * factors);
    for (std::size_t i = 0; i < factors * factors; ++i) root[i] = 0.0;
    for (std::size_t column = 0; column < factors; ++column) {
        std::size_t next = factors;
        double most = unexplained;
        for (std::size_t i = 0; i < factors; ++i) {
            const double share = variance_of(i) > 0.0 ? rest[i * factors + i] / variance_of(i) : 0.0;
            if (share > most) {
                most = share;
                next = i;
            }
        }
        if (next == factors) break;
        const double pivot = std::sqrt(rest[next * factors + next]);
        for (std::size_t i = 0; i < factors; ++i) root[i * factors + column] = rest[i * factors + next] / pivot;
        for (std::size_t i = 0; i < factors; ++i) {
            for (std::size_t j = 0; j < factors; ++j) {
                rest[i * factors + j] -= root[i * factors + column] * root[j * factors + column];
            }
        }
        for (std::size_t i = 0; i < factors; ++i) rest[i * factors + next] = rest[next * factors + i] = 0.0;
    }
    for (std::size_t i = 0; i < factors; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            const double left = rest[i * factors + j];
            if (!(std::fabs(left) <= unexplained * std::sqrt(variance_of(i)) * std::sqrt(variance_of(j)))) {
                return failure(Code::invalid_argument,
                               "the covariance matrix of the factors is not positive semi-definite: between factors "
                               "%zu and %zu it leaves %g",
                               j, i, left);
            }
        }
    }
    return {};
}

}  // namespace

Status cholesky(const double* covariance, std::size_t factors, double* root) {
    const DefaultFloatingPoint environment;
    return plain_cholesky(covariance, factors, root) ? Status{} : pivoted_cholesky(covariance, factors, root);
}

}  // namespace pseudofeed::random
