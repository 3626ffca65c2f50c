// Plain loops over a tile that the compiler vectorises. Compiled once for each instruction set, with PSEUDOFEED_ISA
// naming it; only + - * / sqrt on doubles and integer operations, uncontracted, so that all of them return the same
// bits.
#include "simulate/heston_kernel.h"

#include <cmath>

#include "random/normals.h"

#define PSEUDOFEED_JOIN_(a, b) a##b
#define PSEUDOFEED_JOIN(a, b) PSEUDOFEED_JOIN_(a, b)

namespace pseudofeed::simulate {

namespace {

struct alignas(64) Lanes {
    double of[tile_width];
};

}  // namespace

void PSEUDOFEED_JOIN(heston_tile_, PSEUDOFEED_ISA)(const HestonModel& model, std::size_t first, std::size_t width,
                                                   std::uint64_t seed, std::uint64_t first_step, std::size_t steps,
                                                   const double* shocks, double* price, double* variance,
                                                   double* prices, double* variances) {
    // A tile is always computed whole, so that the loops have one constant length; lanes past `width` repeat harmless
    // values.
    Lanes s{}, v{}, drift{}, kappa{}, theta{}, xi{}, rho{}, tail{}, own{}, zv{}, zp{}, factor{};
    std::uint32_t ids[tile_width] = {};
    for (std::size_t i = 0; i < width; ++i) {
        s.of[i] = price[i];
        v.of[i] = variance[i];
        ids[i] = model.ids[first + i];
        drift.of[i] = model.drift_dt[first + i];
        kappa.of[i] = model.kappa_dt[first + i];
        theta.of[i] = model.theta[first + i];
        xi.of[i] = model.xi_sqrt_dt[first + i];
        rho.of[i] = model.rho[first + i];
        tail.of[i] = model.tail[first + i];
        own.of[i] = model.own_variance[first + i];
    }
    const double half_dt = model.half_dt;
    const double sqrt_dt = model.sqrt_dt;
    for (std::size_t t = 0; t < steps; ++t) {
        const std::uint64_t step = first_step + t;
        factor = Lanes{};
        for (std::size_t k = 0; k < model.factors; ++k) {
            const double shock = shocks[t * model.factors + k];
            const double* loading = model.loadings + k * model.instruments + first;
            for (std::size_t i = 0; i < width; ++i) factor.of[i] += loading[i] * shock;
        }
        for (std::uint32_t substep = 0; substep < model.substeps; ++substep) {
            const std::uint32_t purpose = random::instrument_purpose + (substep << 8);
            for (std::size_t i = 0; i < tile_width; ++i) {
                const random::Normals z = random::standard_normals(random::draw(seed, ids[i], step, purpose));
                zv.of[i] = z.z0;
                zp.of[i] = z.z1;
            }
            for (std::size_t i = 0; i < tile_width; ++i) {
                const double truncated = v.of[i] > 0.0 ? v.of[i] : 0.0;
                const double root = std::sqrt(truncated);
                const double diffusion =
                    (rho.of[i] * root) * zv.of[i] + std::sqrt(tail.of[i] * truncated + own.of[i]) * zp.of[i];
                const double log_return = ((drift.of[i] - half_dt * truncated) + factor.of[i]) + sqrt_dt * diffusion;
                s.of[i] = s.of[i] * random::exponential(log_return);
                v.of[i] = (v.of[i] + kappa.of[i] * (theta.of[i] - truncated)) + (xi.of[i] * root) * zv.of[i];
            }
            factor = Lanes{};
        }
        if (prices != nullptr) {
            double* price_row = prices + t * model.instruments;
            double* variance_row = variances + t * model.instruments;
            for (std::size_t i = 0; i < width; ++i) price_row[i] = s.of[i];
            for (std::size_t i = 0; i < width; ++i) variance_row[i] = v.of[i];
        }
    }
    for (std::size_t i = 0; i < width; ++i) {
        price[i] = s.of[i];
        variance[i] = v.of[i];
    }
}

}  // namespace pseudofeed::simulate
