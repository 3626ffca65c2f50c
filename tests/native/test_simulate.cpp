// Blocks and threads must change no bit; a path that leaves the doubles is named and leaves the state alone; singular
// and indefinite covariances. That the bits are the right ones is golden.cpp's.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "random/cholesky.h"
#include "simulate/factors.h"
#include "simulate/heston.h"

using namespace pseudofeed;
using Doubles = std::vector<double>;

namespace {

constexpr std::size_t steps = 300;
constexpr std::uint32_t substeps = 2;

struct Market {
    std::size_t count;
    std::vector<std::uint32_t> ids;
    Doubles drift, kappa, theta, xi, rho, own, loadings, covariance{0.04, 0.01, 0.01, 0.02}, price, variance;

    explicit Market(std::size_t n) : count(n), ids(n), loadings(2 * n) {
        const auto varied = [n](double low, double high) {
            Doubles values(n);
            for (std::size_t i = 0; i < n; ++i) values[i] = low + (high - low) * static_cast<double>(i) / n;
            return values;
        };
        drift = varied(-0.1, 0.1), kappa = varied(0, 8), theta = varied(0.01, 0.2), xi = varied(0, 2);
        rho = varied(-1, 1), own = varied(0, 0.3), price = varied(1, 1000), variance = varied(0, 0.3);
        for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::uint32_t>(3 * i);
        for (std::size_t i = 0; i < 2 * n; ++i) loadings[i] = 0.1 * static_cast<double>(i % 7);
    }

    simulate::HestonModel model(simulate::Scheme scheme) const {
        return simulate::HestonModel({count, 2, ids.data(), drift.data(), kappa.data(), theta.data(), xi.data(),
                                      rho.data(), own.data(), loadings.data(), covariance.data(), 0.01, 7, substeps,
                                      scheme});
    }
};

bool same(const Doubles& a, const Doubles& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

// Prices and variances of all steps in blocks, and then the state.
Doubles walked(Market market, simulate::Scheme scheme, const Doubles& shocks, std::size_t block, std::size_t threads) {
    const auto model = market.model(scheme);
    Doubles prices(steps * market.count), variances(steps * market.count);
    for (std::size_t done = 0; done < steps; done += block) {
        const std::size_t at = done * market.count;
        CHECK(model
                  .walk(1 + done, std::min(block, steps - done), shocks.data() + 2 * done, market.price.data(),
                        market.variance.data(), prices.data() + at, variances.data() + at, threads)
                  .ok());
    }
    for (const Doubles* more : {&variances, &market.price, &market.variance}) {
        prices.insert(prices.end(), more->begin(), more->end());
    }
    return prices;
}

// R R' of a factor's root.
Doubles squared(const Doubles& root, std::size_t n) {
    Doubles product(n * n);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
            for (std::size_t k = 0; k < n; ++k) product[i * n + j] += root[i * n + k] * root[j * n + k];
        }
    }
    return product;
}

}  // namespace

int main() {
    Doubles shocks(2 * steps);
    for (std::size_t i = 0; i < shocks.size(); ++i) shocks[i] = 1e-3 * std::sin(static_cast<double>(i));

    for (const auto scheme : {simulate::Scheme::euler, simulate::Scheme::qe}) {
        for (const std::size_t count : {1, 5, 64, 150, 1100}) {
            const Doubles whole = walked(Market(count), scheme, shocks, steps, 1);
            CHECK(same(whole, walked(Market(count), scheme, shocks, 77, 1)));
            CHECK(same(whole, walked(Market(count), scheme, shocks, steps, 2)));
            CHECK(same(whole, walked(Market(count), scheme, shocks, 200, 7)));
        }
        Market one(150);
        const auto model = one.model(scheme);
        Doubles last = one.price, last_variance = one.variance;
        CHECK(model.walk(1, steps, shocks.data(), last.data(), last_variance.data(), nullptr, nullptr, 2).ok());
        const Doubles kept = walked(one, scheme, shocks, steps, 1);
        CHECK(std::memcmp(last.data(), kept.data() + 2 * steps * 150, 150 * sizeof(double)) == 0);

        Market extreme(170);
        extreme.variance[169] = 1e300;
        extreme.variance[168] = 1e300;
        Doubles price = extreme.price, variance = extreme.variance;
        const Status left =
            extreme.model(scheme).walk(1, steps, shocks.data(), price.data(), variance.data(), nullptr, nullptr, 2);
        CHECK(left.code == Code::not_finite && std::string(left.message).find("instrument 504 ") == 0);
        CHECK(same(price, extreme.price) && same(variance, extreme.variance));
    }

    Doubles root(9);
    CHECK(random::cholesky(Doubles{1, 2, 2, 1}.data(), 2, root.data()).code == Code::invalid_argument);
    CHECK(random::cholesky(Doubles{1, 0.9, -0.9, 0.9, 1, 0.9, -0.9, 0.9, 1}.data(), 3, root.data()).code ==
          Code::invalid_argument);
    for (const Doubles& singular :
         {Doubles(9, 1.0), Doubles{0, 0, 0, 0, 4, -4, 0, -4, 4}, Doubles{1, 0.6, -1, 0.6, 1, -0.6, -1, -0.6, 1}}) {
        CHECK(random::cholesky(singular.data(), 3, root.data()).ok());
        const Doubles product = squared(root, 3);
        for (std::size_t i = 0; i < 9; ++i) CHECK(std::fabs(product[i] - singular[i]) < 1e-12);
    }
    return test::result();
}
