// Heston paths with factor loadings and an own volatility: price and variance of N instruments, step after step.
//
//     dv = kappa (theta - v) dt + xi sqrt(v) dW_v
//     dS / S = mu dt + b'(dF - mu_F dt) + s dW_e + sqrt(v) dW_S,    corr(dW_S, dW_v) = rho
//
// Two normals an instrument and step, z_v and z_p, are enough: own shock and Heston shock are one in law. The schemes
// stand in heston_euler_kernel.cpp and heston_qe_kernel.cpp. With n substeps a step's time is walked in n parts, each
// with draws of its own; the factors' increment moves the price in the first of them.
//
// (S, v) of a step is the whole state of an instrument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "status.h"

namespace pseudofeed::simulate {

enum class Scheme { euler, qe };

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
    double dt;                        // of a step, in years
    std::uint64_t seed;
    std::uint32_t substeps;  // at least 1
    Scheme scheme;
};

// All that is constant over a run, derived once; owns its memory and borrows nothing. Immutable: any number of threads
// may walk it.
class HestonModel {
  public:
    // Throws std::bad_alloc.
    explicit HestonModel(const HestonParameters& parameters);

    // Borrows all pointers. Walks the steps first_step ... with the factors' shocks dF - mu_F dt, (steps, factors)
    // row-major. price and variance (instruments) hold the state before first_step and receive that after the last
    // step. prices and variances: (steps, instruments) row-major, or both null to pass over the steps without keeping
    // them. At most `threads` threads share the work, fewer where it is too small for them; the bits do not depend on
    // it.
    //
    // Fails with not_finite, naming instrument and step, where a price or variance left the range of doubles; the state
    // is then as it was given.
    Status walk(std::uint64_t first_step, std::size_t steps, const double* shocks, double* price, double* variance,
                double* prices, double* variances, std::size_t threads) const;

    std::size_t instruments() const { return instruments_; }
    std::size_t factors() const { return factors_; }

  private:
    struct Block;
    struct Free {
        void operator()(void* memory) const;
    };

    void derive(std::size_t instrument, const HestonParameters& parameters);
    void run(const Block& block, std::size_t first, std::size_t width) const;
    Status first_failure(const Block& block, std::size_t first, std::size_t width) const;

    std::size_t instruments_, factors_, stride_;
    std::uint64_t seed_;
    std::uint32_t substeps_;
    Scheme scheme_;
    double dt_, sqrt_dt_;  // of a substep
    // Rows of `stride_` instruments, 64-byte aligned: the scheme's parameters, then the factors' loadings; and the ids.
    std::unique_ptr<double[], Free> rows_;
    std::unique_ptr<std::uint64_t[], Free> ids_;
};

// The instruction set that walks run on here: "avx512", "avx2" or "baseline". All return the same bits.
// PSEUDOFEED_ISA in the environment may ask for a lesser one, read at the first call.
const char* instruction_set();

}  // namespace pseudofeed::simulate
