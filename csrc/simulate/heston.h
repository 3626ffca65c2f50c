// Heston paths with factor loadings and an own volatility: price and variance of N instruments, step after step.
//
//     dv = kappa (theta - v) dt + xi sqrt(v) dW_v
//     dS / S = mu dt + b'(dF - mu_F dt) + s dW_e + sqrt(v) dW_S,    corr(dW_S, dW_v) = rho
//
// Two normals an instrument and step, z_v and z_p, are enough: own shock and Heston shock are one in law. The schemes
// stand in heston_euler_kernel.cpp and heston_qe_kernel.cpp. With n substeps a step's time is divided evenly among
// them, and each has draws of its own; the factors' increment moves the price in the first of them. A night has one
// substep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "simulate/derived_rows.h"
#include "simulate/scheme.h"
#include "simulate/steps.h"
#include "status.h"

namespace pseudofeed::simulate {

// Prices beyond these are an error, at the step that reaches them.
constexpr double lowest_price = 1e-100;
constexpr double highest_price = 1e100;

// Borrows all pointers. Arrays have one entry an instrument where no shape is given; rates are per year.
struct HestonParameters {
    std::size_t instruments;
    std::size_t factors;
    const std::uint32_t* ids;  // the counters' first word
    const double* drift;
    const double* kappa;
    const double* theta;
    const double* xi;
    const double* rho;
    const double* idiosyncratic_volatility;
    const double* factor_loadings;    // (instruments, factors)
    const double* factor_covariance;  // (factors, factors), per year
    std::uint64_t key;                // of the draws (random/counters.h)
    std::uint32_t substeps;           // at least 1
    Scheme scheme;
};

// One call of HestonModel::walk. Borrows all pointers; arrays are row-major.
struct HestonWalk {
    Steps steps;
    const double* shocks;        // (steps, factors): the factors' increments in trading, dF - mu_F dt
    const double* night_shocks;  // (nights, factors): the same of each night; null where there are none
    double* state;               // (state_count, instruments): before the first step; receives that after the last
    double* prices;              // (steps, instruments), and
    double* variances;           // the same; or both null to pass over the steps without keeping them
    double* old_prices;          // (steps, instruments), and
    double* old_variances;  // the same: room with which a failure leaves prices and variances as they were; or null
    std::size_t threads;    // at most; fewer where there is too little work for them
    Interruption interruption;
};

// All that does not depend on a walk; owns its memory and borrows nothing. Any number of threads may walk it.
class HestonModel {
  public:
    // Throws std::bad_alloc.
    explicit HestonModel(const HestonParameters& parameters);

    // Walks the steps. The bits depend on nothing but the steps' numbers and lengths: neither on threads nor on how a
    // run is cut into calls. workers (or null) receives how many threads took part.
    //
    // Fails with not_finite, naming the earliest step (or night) and its lowest instrument, where a price leaves
    // lowest_price to highest_price or a variance is not finite; with interrupted where the caller asked for it; with
    // bad_setting where PSEUDOFEED_ISA is none. The state is then as it was given; so are prices and variances where
    // there was room for what they held, else they may hold what was walked.
    Status walk(const HestonWalk& walk, std::size_t* workers = nullptr) const;

    // Whether `steps` steps of dt years, from this state (state_count, instruments), can make walk() fail with
    // not_finite, whatever is drawn; shock_sums (factors): the sums of the steps' |shocks|. False is certain.
    bool may_fail(std::size_t steps, double dt, const double* shock_sums, const double* state) const;

    std::size_t instruments() const { return instruments_; }
    std::size_t factors() const { return factors_; }

  private:
    class Run;

    // How far an instrument can move.
    struct Reach {
        double drift = 0.0;  // its absolute value
        double kappa = 0.0, theta = 0.0, xi = 0.0, own_variance = 0.0;

        // dt: of a substep; shocks: what the factors move it by in all steps.
        bool may_fail(Scheme scheme, double steps, double dt, double shocks, double variance, double least_price,
                      double greatest_price) const;
    };

    void derive_constants(std::size_t instrument, const HestonParameters& parameters);
    Reach reach_of(std::size_t instrument) const;

    std::size_t instruments_, factors_, stride_;
    std::uint64_t key_;
    std::uint32_t substeps_;
    Scheme scheme_;
    AlignedDoubles constants_,
        loadings_;      // rows of `stride_` instruments: the scheme's constants, the factors' loadings
    AlignedWords ids_;  // (stride_)
    Reach worst_;       // of all instruments, in each respect; and the factors' largest |loadings|
    std::vector<double> largest_loadings_;
    mutable DerivedRows derived_;
};

// The instruction set that walks run on here: "avx512", "avx2" or "baseline". All return the same bits. PSEUDOFEED_ISA
// in the environment may ask for a lesser one, read at the first call; fails with bad_setting where that is unknown, or
// is not to be had here.
Status choose_instruction_set(const char*& name);

}  // namespace pseudofeed::simulate
