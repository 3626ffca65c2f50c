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
    static Doubles move(const Substep& at, Doubles z_v, Doubles z_p, Doubles factor, Doubles& variance) {
        using random::square_root;
        const Doubles truncated = choose(greater(variance, 0.0), variance, Doubles{});
        const Doubles root = square_root(truncated);
        const Doubles last = square_root(at.parameter(euler::tail) * truncated + at.parameter(euler::own_variance));
        const Doubles diffusion = (at.parameter(euler::rho) * root) * z_v + last * z_p;
        const Doubles drift = at.parameter(euler::drift_dt) - (0.5 * at.tile.dt) * truncated;
        variance = (variance + at.parameter(euler::kappa_dt) * (at.parameter(euler::theta) - truncated)) +
                   (at.parameter(euler::xi_sqrt_dt) * root) * z_v;
        return (drift + factor) + at.tile.sqrt_dt * diffusion;
    }
};

}  // namespace

void heston_euler(const HestonTile& tile) { Walk<Euler>(tile).steps(); }

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
