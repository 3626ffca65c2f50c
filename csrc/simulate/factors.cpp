#include "simulate/factors.h"

#include <algorithm>
#include <vector>

#include "simulate/kernels.h"

namespace pseudofeed::simulate {

void factor_paths(const double* root, const double* drift_dt, double sqrt_dt, std::size_t factors, std::uint64_t seed,
                  std::uint64_t first_step, std::size_t steps, double* level_state, double* increments,
                  double* levels) {
    std::vector<std::size_t> used(factors);  // columns of each row up to its last entry
    for (std::size_t k = 0; k < factors; ++k) {
        for (std::size_t j = 0; j < factors; ++j) used[k] = root[k * factors + j] != 0.0 ? j + 1 : used[k];
    }
    std::vector<double> normals(factors * factor_chunk);
    for (std::size_t start = 0; start < steps; start += factor_chunk) {
        const std::size_t chunk = std::min(factor_chunk, steps - start);
        for (std::size_t k = 0; k < factors; ++k) {
            kernels().factor_normals(seed, k, first_step + start, &normals[k * factor_chunk]);
        }
        for (std::size_t k = 0; k < factors; ++k) {
            double correlated[factor_chunk] = {};
            for (std::size_t j = 0; j < used[k]; ++j) {
                const double entry = root[k * factors + j];
                const double* normal = &normals[j * factor_chunk];
                for (std::size_t t = 0; t < factor_chunk; ++t) correlated[t] += entry * normal[t];
            }
            double level = level_state[k];
            for (std::size_t t = 0; t < chunk; ++t) {
                const double increment = drift_dt[k] + sqrt_dt * correlated[t];
                level += increment;
                increments[(start + t) * factors + k] = increment;
                levels[(start + t) * factors + k] = level;
            }
            level_state[k] = level;
        }
    }
}

}  // namespace pseudofeed::simulate
