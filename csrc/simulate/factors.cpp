#include "simulate/factors.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "floating_point.h"
#include "random/counters.h"
#include "simulate/interruption.h"
#include "simulate/kernels.h"

namespace pseudofeed::simulate {

namespace {

// R z of factor_chunk steps at a time.
class CorrelatedNormals {
  public:
    CorrelatedNormals(const FactorWalk& walk, const Kernels& kernels)
        : walk_(walk),
          kernels_(kernels),
          used_(walk.factors),
          normals_(walk.factors * factor_chunk),
          correlated_(walk.factors * factor_chunk) {
        for (std::size_t k = 0; k < walk.factors; ++k) {
            for (std::size_t j = 0; j < walk.factors; ++j) {
                if (walk.root[k * walk.factors + j] != 0.0) used_[k] = j + 1;
            }
        }
    }

    // Draws at factor_chunk steps of the counters.
    void draw(const std::uint64_t* steps) {
        for (std::size_t k = 0; k < walk_.factors; ++k) {
            kernels_.factor_normals(walk_.key, k, steps, &normals_[k * factor_chunk]);
        }
        for (std::size_t k = 0; k < walk_.factors; ++k) {
            double* correlated = &correlated_[k * factor_chunk];
            std::fill_n(correlated, factor_chunk, 0.0);
            for (std::size_t j = 0; j < used_[k]; ++j) {
                const double entry = walk_.root[k * walk_.factors + j];
                const double* normal = &normals_[j * factor_chunk];
                for (std::size_t t = 0; t < factor_chunk; ++t) correlated[t] += entry * normal[t];
            }
        }
    }

    // Of a factor, at each of the steps drawn.
    const double* of(std::size_t factor) const { return &correlated_[factor * factor_chunk]; }

  private:
    const FactorWalk& walk_;
    const Kernels& kernels_;
    std::vector<std::size_t> used_;  // columns of each row of the root up to its last entry
    std::vector<double> normals_, correlated_;
};

// The increments of all nights, (nights, factors).
std::vector<double> walk_nights(const FactorWalk& walk, CorrelatedNormals& normals) {
    std::vector<std::uint64_t> marked;
    for (std::size_t t = 0; t < walk.steps.count; ++t) {
        if (walk.steps.night_before(t)) marked.push_back((walk.steps.first + t) | random::night_mark);
    }
    const std::size_t nights = marked.size();
    marked.resize((nights + factor_chunk - 1) / factor_chunk * factor_chunk);
    std::vector<double> increments(nights * walk.factors);
    const double dt = walk.steps.night_dt, sqrt_dt = std::sqrt(dt);
    for (std::size_t start = 0; start < nights; start += factor_chunk) {
        normals.draw(&marked[start]);
        for (std::size_t k = 0; k < walk.factors; ++k) {
            const double drift_dt = walk.drift[k] * dt;
            for (std::size_t night = start; night < std::min(nights, start + factor_chunk); ++night) {
                const double increment = drift_dt + sqrt_dt * normals.of(k)[night - start];
                increments[night * walk.factors + k] = increment;
                if (walk.night_shocks != nullptr) walk.night_shocks[night * walk.factors + k] = increment - drift_dt;
            }
        }
    }
    return increments;
}

}  // namespace

Status walk_factors(const FactorWalk& walk) try {
    const DefaultFloatingPoint environment;
    const Kernels* kernels = nullptr;
    if (const Status chosen = choose_kernels(kernels); !chosen.ok()) return chosen;
    Interrupter interrupter(walk.interruption);
    CorrelatedNormals normals(walk, *kernels);
    const std::vector<double> nights = walk_nights(walk, normals);
    const std::size_t factors = walk.factors;
    std::vector<double> level(walk.level, walk.level + factors);
    std::size_t nights_before = 0;  // the chunk
    for (std::size_t start = 0; start < walk.steps.count; start += factor_chunk) {
        if (interrupter.asked()) return failure(Code::interrupted, "the walk was interrupted");
        const std::size_t chunk = std::min(factor_chunk, walk.steps.count - start);
        std::uint64_t numbers[factor_chunk];
        double dt[factor_chunk], sqrt_dt[factor_chunk];
        for (std::size_t t = 0; t < factor_chunk; ++t) numbers[t] = walk.steps.first + start + t;
        for (std::size_t t = 0; t < chunk; ++t) {
            dt[t] = walk.steps.length(start + t);
            sqrt_dt[t] = t > 0 && dt[t] == dt[t - 1] ? sqrt_dt[t - 1] : std::sqrt(dt[t]);
        }
        normals.draw(numbers);
        std::size_t night = nights_before;
        for (std::size_t k = 0; k < factors; ++k) {
            const double* correlated = normals.of(k);
            night = nights_before;
            for (std::size_t t = 0; t < chunk; ++t) {
                const std::size_t place = (start + t) * factors + k;
                const double drift_dt = walk.drift[k] * dt[t];
                double increment = drift_dt + sqrt_dt[t] * correlated[t];
                if (walk.shocks != nullptr) walk.shocks[place] = increment - drift_dt;
                if (walk.steps.night_before(start + t)) increment += nights[night++ * factors + k];
                level[k] += increment;
                walk.increments[place] = increment;
                walk.levels[place] = level[k];
            }
        }
        nights_before = night;
    }
    std::copy(level.begin(), level.end(), walk.level);
    return {};
} catch (const std::bad_alloc&) {
    return failure(Code::out_of_memory, "no memory to walk %zu factors through %zu steps", walk.factors,
                   walk.steps.count);
}

}  // namespace pseudofeed::simulate
