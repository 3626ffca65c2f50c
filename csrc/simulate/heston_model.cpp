// What is constant over a run, and a bound on what can happen. Every operation of the constants is written out in its
// order: these bits decide every tick's.
#include <algorithm>
#include <cmath>

#include "floating_point.h"
#include "simulate/heston.h"
#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate {

namespace {

// Whole tiles, and an odd number of them: rows whose distance is a multiple of 4 KiB would share the sets of the
// first-level cache.
std::size_t padded(std::size_t instruments) { return ((instruments + tile_width - 1) / tile_width | 1) * tile_width; }

}  // namespace

HestonModel::HestonModel(const HestonParameters& given)
    : instruments_(given.instruments),
      factors_(given.factors),
      stride_(padded(given.instruments)),
      key_(given.key),
      substeps_(given.substeps),
      scheme_(given.scheme),
      constants_(aligned_zeros<double>(constant_count(given.scheme) * stride_)),
      loadings_(aligned_zeros<double>(given.factors * stride_)),
      ids_(aligned_zeros<std::uint64_t>(stride_)),
      largest_loadings_(given.factors) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < instruments_; ++i) {
        derive_constants(i, given);
        const Reach one = reach_of(i);
        worst_.drift = std::fmax(worst_.drift, one.drift);
        worst_.kappa = std::fmax(worst_.kappa, one.kappa);
        worst_.theta = std::fmax(worst_.theta, one.theta);
        worst_.xi = std::fmax(worst_.xi, one.xi);
        worst_.own_variance = std::fmax(worst_.own_variance, one.own_variance);
        for (std::size_t k = 0; k < factors_; ++k) {
            largest_loadings_[k] = std::fmax(largest_loadings_[k], std::fabs(loadings_[k * stride_ + i]));
        }
    }
}

void HestonModel::derive_constants(std::size_t i, const HestonParameters& given) {
    const auto constant = [this, i](std::size_t row) -> double& { return constants_[row * stride_ + i]; };
    ids_[i] = given.ids[i];
    const double* loadings = given.factor_loadings + i * factors_;
    double systematic_variance = 0.0;
    for (std::size_t k = 0; k < factors_; ++k) {
        loadings_[k * stride_ + i] = loadings[k];
        for (std::size_t j = 0; j < factors_; ++j) {
            systematic_variance += (loadings[k] * given.factor_covariance[k * factors_ + j]) * loadings[j];
        }
    }
    const double own_variance = given.idiosyncratic_volatility[i] * given.idiosyncratic_volatility[i];
    const double drift = given.drift[i] - 0.5 * (own_variance + systematic_variance);
    const double xi = given.xi[i];
    if (scheme_ == Scheme::euler) {
        constant(euler::drift) = drift;
        constant(euler::kappa) = given.kappa[i];
        constant(euler::theta) = given.theta[i];
        constant(euler::xi) = xi;
        constant(euler::rho) = given.rho[i];
        constant(euler::tail) = 1.0 - given.rho[i] * given.rho[i];
        constant(euler::own_variance) = own_variance;
        return;
    }
    constant(qe::drift) = drift;
    constant(qe::kappa) = given.kappa[i];
    constant(qe::theta) = given.theta[i];
    constant(qe::xi) = xi;
    constant(qe::rho) = xi > 0.0 ? given.rho[i] : 0.0;
    constant(qe::own_variance) = own_variance;
    constant(qe::rho_over_xi) = xi > 0.0 ? given.rho[i] / xi : 0.0;
}

// With R the largest radius that Box and Muller's transform makes of 53-bit uniforms, sqrt(-2 log 2^-53) = 8.572, and s
// an upper bound of sqrt(v+), a substep of dt gives
//
//     s' <= sqrt(s^2 + pull) + growth,    pull = kappa theta dt
//     |change of the log price| <= |drift| dt + R (spread s' + sqrt(own dt)) + rest + square s'^2
//
// where s also counts what is below `floor` as that. After the first substep s >= growth, so then sqrt(s^2 + pull) - s
// is at most pull / (2 growth).
//
// euler: growth = R xi sqrt(dt) / 2, since v' <= (sqrt(v+) + growth)^2 + pull; z_v and z_p lie in a circle of radius R,
// so spread = sqrt(dt); square = dt / 2.
//
// qe, in the symbols of heston_qe_kernel.cpp: h^2 <= c m <= dt m, m <= v + pull. Quadratic branch: with r = sqrt(4 - 2
// psi), sqrt(v') <= sqrt(m r / 2) + R xi (h / sqrt(m)) / sqrt(2 + r) <= sqrt(m) + 4.8 xi sqrt(dt), since w = xi h / m
// grows as r falls from 2 to 1; g b <= h, so |x| <= h |z_v| + 25 xi dt. Exponential branch: m < xi^2 dt / 1.5 and log(t
// / u) < 37, so v' <= 31 xi^2 dt, below the floor 5.6 xi sqrt(dt), and |x| <= 31 xi dt. The martingale correction has
// |y| <= 0.84 alpha xi dt in both; where that is at most 1/2, its logarithms are at most 3.6 |y| + (alpha h)^2. Where
// it is not, the bound does not hold.
bool HestonModel::Reach::may_fail(Scheme scheme, double steps, double dt, double shocks, double variance,
                                  double least_price, double greatest_price) const {
    constexpr double radius = 8.6;
    const double root = std::sqrt(dt);
    const double pull = kappa * theta * dt;
    double growth = 0.5 * radius * xi * root;
    double spread = root;
    double square = 0.5 * dt;
    double rest = drift * dt + radius * std::sqrt(own_variance) * root;
    double floor = 0.0;
    if (scheme == Scheme::qe) {
        const double lift = 1.0 + 0.5 * kappa * dt;
        const double alpha = lift + 0.25 * xi * dt;
        const double y = 0.84 * alpha * xi * dt;
        if (!(y <= 0.5)) return true;
        growth = 4.8 * xi * root;
        floor = 5.6 * xi * root;
        spread = lift * root;
        rest +=
            lift * (radius * root * std::sqrt(pull) + 31.0 * xi * dt) + 3.6 * y + (0.25 + alpha * alpha) * dt * pull;
        square = (1.0 + alpha * alpha) * dt;
    }
    const double root_pull = std::sqrt(pull);
    const double rise = growth + (growth > 0.0 ? std::fmin(root_pull, 0.5 * pull / growth) : root_pull);
    const double first = std::fmax(std::sqrt(variance > 0.0 ? variance : 0.0), floor) + root_pull;
    const double last = first + steps * rise;
    // s' of the steps adds up to at most steps (first + (steps + 1) rise / 2).
    const double moved =
        steps * (rest + radius * spread * (first + 0.5 * (steps + 1.0) * rise) + square * last * last) + shocks;
    // One is for rounding. The exponential cuts returns beyond 708, far behind this.
    const double room = std::fmin(std::log(least_price / lowest_price), std::log(highest_price / greatest_price)) - 1.0;
    return !(moved < room) || !(kappa * dt * last * last < 1e100);
}

HestonModel::Reach HestonModel::reach_of(std::size_t i) const {
    const auto constant = [this, i](std::size_t row) { return constants_[row * stride_ + i]; };
    const bool is_qe = scheme_ == Scheme::qe;
    return {
        .drift = std::fabs(constant(is_qe ? std::size_t{qe::drift} : euler::drift)),
        .kappa = constant(is_qe ? std::size_t{qe::kappa} : euler::kappa),
        .theta = constant(is_qe ? std::size_t{qe::theta} : euler::theta),
        .xi = constant(is_qe ? std::size_t{qe::xi} : euler::xi),
        .own_variance = constant(is_qe ? std::size_t{qe::own_variance} : euler::own_variance),
    };
}

bool HestonModel::may_fail(std::size_t steps, double dt, const double* shock_sums, const double* state) const {
    const DefaultFloatingPoint environment;
    const double* price = state + price_state * instruments_;
    const double* variance = state + variance_state * instruments_;
    const double substep_dt = dt / static_cast<double>(substeps_);
    const double substeps = static_cast<double>(steps) * static_cast<double>(substeps_);
    // First for an instrument that is the worst in everything: as a rule that is enough.
    const auto [least, greatest] = std::minmax_element(price, price + instruments_);
    double shocks = 0.0;
    for (std::size_t k = 0; k < factors_; ++k) shocks += largest_loadings_[k] * shock_sums[k];
    if (!worst_.may_fail(scheme_, substeps, substep_dt, shocks, *std::max_element(variance, variance + instruments_),
                         *least, *greatest)) {
        return false;
    }
    for (std::size_t i = 0; i < instruments_; ++i) {
        shocks = 0.0;
        for (std::size_t k = 0; k < factors_; ++k) shocks += std::fabs(loadings_[k * stride_ + i]) * shock_sums[k];
        if (reach_of(i).may_fail(scheme_, substeps, substep_dt, shocks, variance[i], price[i], price[i])) return true;
    }
    return false;
}

}  // namespace pseudofeed::simulate
