#include "simulate/heston.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate {

namespace {

struct Kernel {
    const char* name;
    HestonTile tile;
};

Kernel choose() {
#if defined(PSEUDOFEED_X86_DISPATCH)
    const char* asked = std::getenv("PSEUDOFEED_ISA");
    const auto allowed = [asked](const char* name) { return asked == nullptr || std::strcmp(asked, name) == 0; };
    __builtin_cpu_init();
    if (allowed("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        return {"avx512", heston_tile_avx512};
    }
    if ((allowed("avx2") || allowed("avx512")) && __builtin_cpu_supports("avx2")) return {"avx2", heston_tile_avx2};
#endif
    return {"baseline", heston_tile_baseline};
}

const Kernel& kernel() {
    static const Kernel chosen = choose();
    return chosen;
}

bool in_range(double price, double variance) { return price > 0.0 && std::isfinite(price) && std::isfinite(variance); }

// A price or variance that left the range never comes back, so a block's last state tells; only then are its steps
// walked again.
Status first_failure(const HestonModel& model, std::size_t first, std::size_t width, std::uint64_t seed,
                     std::uint64_t first_step, std::size_t steps, const double* shocks, double* price,
                     double* variance) {
    for (std::size_t t = 0; t < steps; ++t) {
        kernel().tile(model, first, width, seed, first_step + t, 1, shocks + t * model.factors, price, variance,
                      nullptr, nullptr);
        for (std::size_t i = 0; i < width; ++i) {
            if (!in_range(price[i], variance[i])) {
                return failure(
                    Code::not_finite,
                    "instrument %u left the range of doubles at step %llu: price %g, variance %g; its parameters "
                    "are too large for steps of this length",
                    model.ids[first + i], static_cast<unsigned long long>(first_step + t), price[i], variance[i]);
            }
        }
    }
    return failure(Code::not_finite, "a path left the range of doubles");
}

}  // namespace

const char* instruction_set() { return kernel().name; }

Status heston_paths(const HestonModel& model, std::uint64_t seed, std::uint64_t first_step, std::size_t steps,
                    const double* shocks, double* price, double* variance, double* prices, double* variances) {
    double start_price[tile_width];
    double start_variance[tile_width];
    for (std::size_t first = 0; first < model.instruments; first += tile_width) {
        const std::size_t width = std::min(tile_width, model.instruments - first);
        std::copy_n(price + first, width, start_price);
        std::copy_n(variance + first, width, start_variance);
        kernel().tile(model, first, width, seed, first_step, steps, shocks, price + first, variance + first,
                      prices == nullptr ? nullptr : prices + first, variances == nullptr ? nullptr : variances + first);
        for (std::size_t i = 0; i < width; ++i) {
            if (!in_range(price[first + i], variance[first + i])) {
                return first_failure(model, first, width, seed, first_step, steps, shocks, start_price, start_variance);
            }
        }
    }
    return {};
}

}  // namespace pseudofeed::simulate
