// Every instruction set of the Heston kernel that this machine has must give the baseline's bits; tiles must not depend
// on their neighbours; a path that leaves the doubles is named.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "random/normals.h"
#include "simulate/factors.h"
#include "simulate/heston_kernel.h"

using namespace pseudofeed;

namespace {

struct Market {
    std::size_t count;
    std::vector<std::uint32_t> ids;
    std::vector<double> drift, kappa, theta, xi, rho, tail, own, loadings, price, variance;

    explicit Market(std::size_t n) : count(n), ids(n), loadings(2 * n) {
        const auto varied = [n](double low, double high) {
            std::vector<double> values(n);
            for (std::size_t i = 0; i < n; ++i) values[i] = low + (high - low) * static_cast<double>(i) / n;
            return values;
        };
        drift = varied(-1e-5, 1e-5), kappa = varied(0, 1e-2), theta = varied(0.01, 0.2), xi = varied(0, 0.2);
        rho = varied(-1, 1), own = varied(0, 0.1), price = varied(1, 1000), variance = varied(0, 0.3), tail = rho;
        for (double& value : tail) value = 1 - value * value;
        for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::uint32_t>(3 * i);
        for (std::size_t i = 0; i < 2 * n; ++i) loadings[i] = 0.1 * static_cast<double>(i % 7);
    }

    simulate::HestonModel model() const {
        return {count,     2,          1,           ids.data(), drift.data(),    kappa.data(), theta.data(),
                xi.data(), rho.data(), tail.data(), own.data(), loadings.data(), 0.5e-3,       std::sqrt(1e-3)};
    }
};

bool same(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

std::vector<double> run(simulate::HestonTile tile, std::size_t width, const std::vector<double>& shocks) {
    Market market(width);
    const std::size_t steps = shocks.size() / 2;
    std::vector<double> prices(steps * width), variances(steps * width);
    tile(market.model(), 0, width, 7, 1, steps, shocks.data(), market.price.data(), market.variance.data(),
         prices.data(), variances.data());
    prices.insert(prices.end(), variances.begin(), variances.end());
    return prices;
}

}  // namespace

int main() {
    std::vector<double> shocks(2 * 300);
    for (std::size_t i = 0; i < shocks.size(); ++i) shocks[i] = 1e-3 * std::sin(static_cast<double>(i));

#if defined(PSEUDOFEED_X86_DISPATCH)
    for (const std::size_t width : {std::size_t{1}, std::size_t{5}, simulate::tile_width}) {
        const std::vector<double> expected = run(simulate::heston_tile_baseline, width, shocks);
        if (__builtin_cpu_supports("avx2")) CHECK(same(expected, run(simulate::heston_tile_avx2, width, shocks)));
        if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512bw")) {
            CHECK(same(expected, run(simulate::heston_tile_avx512, width, shocks)));
        }
    }
#endif

    // In one piece, and in two with the state handed over.
    Market whole(150), parts(150);
    std::vector<double> prices(300 * 150), variances(300 * 150), first(300 * 150), second(300 * 150);
    CHECK(simulate::heston_paths(whole.model(), 7, 1, 300, shocks.data(), whole.price.data(), whole.variance.data(),
                                 prices.data(), variances.data())
              .ok());
    for (const auto& [start, steps] : {std::pair<std::size_t, std::size_t>{0, 77}, {77, 223}}) {
        CHECK(simulate::heston_paths(parts.model(), 7, 1 + start, steps, shocks.data() + 2 * start, parts.price.data(),
                                     parts.variance.data(), first.data() + 150 * start, second.data() + 150 * start)
                  .ok());
    }
    CHECK(same(prices, first) && same(variances, second) && same(whole.price, parts.price));

    Market extreme(70);
    extreme.variance[69] = 1e300;
    const Status left = simulate::heston_paths(extreme.model(), 7, 1, 300, shocks.data(), extreme.price.data(),
                                               extreme.variance.data(), nullptr, nullptr);
    CHECK(left.code == Code::not_finite && std::string(left.message).find("instrument 207 ") == 0);

    const double indefinite[] = {1.0, 2.0, 2.0, 1.0};
    double lower[4];
    CHECK(simulate::cholesky(indefinite, 2, lower).code == Code::invalid_argument);
    const double singular[] = {1.0, 1.0, 1.0, 1.0};
    CHECK(simulate::cholesky(singular, 2, lower).ok() && lower[2] == 1.0 && lower[3] == 0.0);
    return test::result();
}
