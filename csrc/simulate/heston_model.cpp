// What is constant over a run. Every operation is written out in its order: these bits decide every tick's.
#include <cmath>
#include <new>

#include "random/elementary.h"
#include "simulate/heston.h"
#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate {

namespace {

constexpr std::align_val_t line{64};

template <class T>
T* zeros(std::size_t count) {
    T* memory = static_cast<T*>(::operator new(count * sizeof(T), line));
    for (std::size_t i = 0; i < count; ++i) memory[i] = T{};
    return memory;
}

// Whole tiles, and an odd number of them: rows whose distance is a multiple of 4 KiB would share the sets of the
// first-level cache.
std::size_t padded(std::size_t instruments) { return ((instruments + tile_width - 1) / tile_width | 1) * tile_width; }

}  // namespace

void HestonModel::Free::operator()(void* memory) const { ::operator delete(memory, line); }

HestonModel::HestonModel(const HestonParameters& given)
    : instruments_(given.instruments),
      factors_(given.factors),
      stride_(padded(given.instruments)),
      seed_(given.seed),
      substeps_(given.substeps),
      scheme_(given.scheme),
      dt_(given.dt / static_cast<double>(given.substeps)),
      sqrt_dt_(std::sqrt(dt_)),
      rows_(zeros<double>((parameter_count(given.scheme) + given.factors) * stride_)),
      ids_(zeros<std::uint64_t>(stride_)) {
    for (std::size_t i = 0; i < instruments_; ++i) derive(i, given);
}

void HestonModel::derive(std::size_t i, const HestonParameters& given) {
    const auto row = [this, i](std::size_t number) -> double& { return rows_[number * stride_ + i]; };
    ids_[i] = given.ids[i];
    const double* loadings = given.factor_loadings + i * factors_;
    double systematic_variance = 0.0;
    for (std::size_t k = 0; k < factors_; ++k) {
        row(parameter_count(scheme_) + k) = loadings[k];
        for (std::size_t j = 0; j < factors_; ++j) {
            systematic_variance += (loadings[k] * given.factor_covariance[k * factors_ + j]) * loadings[j];
        }
    }
    const double own_variance = given.idiosyncratic_volatility[i] * given.idiosyncratic_volatility[i];
    const double drift_dt = (given.drift[i] - 0.5 * (own_variance + systematic_variance)) * dt_;
    const double kappa_dt = given.kappa[i] * dt_;
    const double xi = given.xi[i];
    const double theta = given.theta[i];
    if (scheme_ == Scheme::euler) {
        row(euler::drift_dt) = drift_dt;
        row(euler::kappa_dt) = kappa_dt;
        row(euler::theta) = theta;
        row(euler::xi_sqrt_dt) = xi * sqrt_dt_;
        row(euler::rho) = given.rho[i];
        row(euler::tail) = 1.0 - given.rho[i] * given.rho[i];
        row(euler::own_variance) = own_variance;
        return;
    }
    const double decay = random::exponential(-kappa_dt);
    const double q = -random::exponential_minus_1(-kappa_dt);
    const double c = kappa_dt > 0.0 ? (q / kappa_dt) * dt_ : dt_;
    // A variance without noise is correlated with nothing.
    const double rho = xi > 0.0 ? given.rho[i] : 0.0;
    const double lift = rho * (1.0 + 0.5 * kappa_dt);
    const double uncorrected = xi > 0.0 ? (rho / xi) * (q * (1.0 + 0.5 * kappa_dt) - kappa_dt) : 0.0;
    row(qe::drift_dt) = drift_dt;
    row(qe::decay) = decay;
    row(qe::pull) = theta * q;
    row(qe::spread_v) = c * decay;
    row(qe::spread_theta) = 0.5 * ((theta * q) * c);
    row(qe::xi) = xi;
    row(qe::lift) = lift;
    row(qe::quarter_rho) = 0.25 * ((rho * rho) * dt_);
    row(qe::alpha) = lift - xi * row(qe::quarter_rho);
    row(qe::tail_dt) = 0.5 * ((1.0 - rho * rho) * dt_);
    row(qe::own_dt) = own_variance * dt_;
    row(qe::uncorrected) = uncorrected;
    row(qe::uncorrected_at) = uncorrected * theta;
}

}  // namespace pseudofeed::simulate
