// Euler on log prices with full truncation of the variance (Lord, Koekkoek and van Dijk 2010). With v+ = max(v, 0):
//
//     S' = S exp((mu - (s^2 + b'Sigma b)/2) dt - v+ dt/2 + b'(dF - mu_F dt)
//                + sqrt(dt) (rho sqrt(v+) z_v + sqrt((1 - rho^2) v+ + s^2) z_p))
//     v' = v + kappa (theta - v+) dt + xi sqrt(dt) sqrt(v+) z_v
//
// The variance kept and given out is the scheme's own v, which full truncation lets dip below zero.
#include "simulate/heston_walk.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

namespace {

struct Euler {
    static constexpr std::size_t derived_count = euler::derived_count;

    template <class Put>
    static void derive(RowLanes constants, double dt, double sqrt_dt, Put put) {
        put(euler::drift_dt, constants[euler::drift] * dt);
        put(euler::kappa_dt, constants[euler::kappa] * dt);
        put(euler::xi_sqrt_dt, constants[euler::xi] * sqrt_dt);
    }

    static Doubles move(const Substep& at, Doubles z_v, Doubles z_p, Doubles factor, Doubles& variance) {
        using random::square_root;
        const Doubles truncated = choose(greater(variance, 0.0), variance, Doubles{});
        const Doubles root = square_root(truncated);
        const Doubles last = square_root(at.constants[euler::tail] * truncated + at.constants[euler::own_variance]);
        const Doubles diffusion = (at.constants[euler::rho] * root) * z_v + last * z_p;
        const Doubles drift = at.derived[euler::drift_dt] - (0.5 * at.dt) * truncated;
        variance = (variance + at.derived[euler::kappa_dt] * (at.constants[euler::theta] - truncated)) +
                   (at.derived[euler::xi_sqrt_dt] * root) * z_v;
        return (drift + factor) + at.sqrt_dt * diffusion;
    }
};

}  // namespace

PriceRange heston_euler(const HestonTile& tile) { return Walk<Euler>(tile).segments(); }

void derive_euler(const double* constants, std::size_t stride, std::size_t instruments, double dt, double* derived) {
    derive_rows<Euler>(constants, stride, instruments, dt, random::square_root(dt), derived, stride);
}

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
