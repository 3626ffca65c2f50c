// The schemes: what each keeps of an instrument, and the rows of numbers that its kernel reads. A row has a number for
// each instrument. Constants come of the parameters alone; derived rows of them and of a substep's length dt.
#pragma once

#include <cstddef>

namespace pseudofeed::simulate {

enum class Scheme { euler, qe };

// The rows of the state, which is all that later steps depend on.
enum State : std::size_t { price_state, variance_state, state_count };

namespace euler {
enum Constant : std::size_t {
    drift,         // mu - (s^2 + b'Sigma b)/2
    kappa,         //
    theta,         //
    xi,            //
    rho,           //
    tail,          // 1 - rho^2
    own_variance,  // s^2
    constant_count
};
enum Derived : std::size_t {
    drift_dt,    // drift dt
    kappa_dt,    // kappa dt
    xi_sqrt_dt,  // xi sqrt(dt)
    derived_count
};
}  // namespace euler

namespace qe {
enum Constant : std::size_t {
    drift,         // mu - (s^2 + b'Sigma b)/2
    kappa,         //
    theta,         //
    xi,            //
    rho,           // 0 where xi is 0: a variance without noise is correlated with nothing
    own_variance,  // s^2
    rho_over_xi,   // 0 where xi is 0
    constant_count
};
// q = 1 - exp(-kappa dt), c = q / kappa (dt where kappa is 0).
enum Derived : std::size_t {
    drift_dt,        // drift dt
    decay,           // exp(-kappa dt)
    pull,            // theta q
    spread_v,        // c exp(-kappa dt)
    spread_theta,    // theta q c / 2
    noise,           // xi
    lift,            // rho (1 + kappa dt / 2)
    alpha,           // rho (1 + kappa dt / 2) - xi rho^2 dt / 4
    quarter_rho,     // rho^2 dt / 4
    tail_dt,         // (1 - rho^2) dt / 2
    own_dt,          // s^2 dt
    uncorrected,     // (rho / xi) (q (1 + kappa dt / 2) - kappa dt), 0 where xi is 0
    uncorrected_at,  // the same times theta
    derived_count
};
}  // namespace qe

constexpr std::size_t constant_count(Scheme scheme) {
    return scheme == Scheme::qe ? std::size_t{qe::constant_count} : std::size_t{euler::constant_count};
}

constexpr std::size_t derived_count(Scheme scheme) {
    return scheme == Scheme::qe ? std::size_t{qe::derived_count} : std::size_t{euler::derived_count};
}

}  // namespace pseudofeed::simulate
