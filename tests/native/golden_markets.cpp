// The golden markets: whole markets, from their drawn parameters to the last step, must have the checksums that stand
// in tests/vectors/golden_markets.txt, with any compiler, instruction set, number of threads and cut into blocks.
// tests/unit/test_golden.py makes the same markets from a market file.
//
// usage: golden_markets FILE    (lines: scheme substeps night path sha256 checksum; # begins a comment)
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "checksum.h"
#include "random/arrays.h"
#include "random/cholesky.h"
#include "random/counters.h"
#include "simulate/factors.h"
#include "simulate/heston.h"

using namespace pseudofeed;
using Doubles = std::vector<double>;

namespace {

// New York: 13 half hours a session, of 252 a year.
constexpr std::size_t instruments = 130, factors = 3, steps = 100, session = 13;
constexpr double dt = 1.8e12 / (252 * 2.34e13);
constexpr std::uint64_t seed = 20261127;

struct Drawing {
    std::uint64_t number;  // the parameter's, of counters.h
    const char* kind;
    double first, second, low, high;
};

Doubles draw(const Drawing& drawing) {
    std::vector<std::uint32_t> ids(instruments);
    for (std::size_t i = 0; i < instruments; ++i) ids[i] = static_cast<std::uint32_t>(i);
    Doubles values(instruments), other(instruments);
    const std::string kind = drawing.kind;
    const std::uint32_t purpose = random::purpose_word(random::parameter_purpose);
    if (kind == "uniform") {
        random::uniforms_of(seed, ids.data(), instruments, drawing.number, purpose, values.data(), other.data());
        for (double& value : values) value = drawing.first + (drawing.second - drawing.first) * value;
        return values;
    }
    random::normals_of(seed, ids.data(), instruments, drawing.number, purpose, values.data(), other.data());
    for (double& value : values) value = drawing.second * value;
    if (kind == "lognormal") random::exponentials_of(values.data(), instruments, values.data());
    for (double& value : values) {
        value = kind == "lognormal" ? drawing.first * value : drawing.first + value;
        value = std::min(std::max(value, drawing.low), drawing.high);
    }
    return values;
}

struct Paths {
    Doubles prices, variances, increments, levels;
};

struct Market {
    std::vector<std::uint32_t> ids = std::vector<std::uint32_t>(instruments);
    // The defaults of a market file.
    Doubles price = draw({random::initial_price_number, "lognormal", 60.0, 0.6, 5.0, 1000.0});
    Doubles variance = draw({random::initial_variance_number, "uniform", 0.04, 0.1225, 0, 0});
    Doubles drift = draw({random::drift_number, "uniform", 0.0, 0.1, 0, 0});
    Doubles kappa = draw({random::kappa_number, "uniform", 2.0, 6.0, 0, 0});
    Doubles theta = draw({random::theta_number, "uniform", 0.04, 0.1225, 0, 0});
    Doubles xi = draw({random::xi_number, "uniform", 0.2, 0.5, 0, 0});
    Doubles rho = draw({random::rho_number, "uniform", -0.8, -0.3, 0, 0});
    Doubles own = draw({random::idiosyncratic_volatility_number, "uniform", 0.1, 0.25, 0, 0});
    Doubles loadings = Doubles(instruments * factors), covariance = Doubles(factors * factors);
    Doubles root = Doubles(factors * factors), factor_drift{0.05, 0.0, -0.01};
    Doubles lengths = Doubles(steps, dt);
    std::vector<std::uint8_t> nights = std::vector<std::uint8_t>(steps);

    Market() {
        const double volatilities[factors] = {0.16, 0.08, 0.06};
        const double correlations[factors][factors] = {{1.0, 0.3, -0.2}, {0.3, 1.0, 0.1}, {-0.2, 0.1, 1.0}};
        for (std::size_t i = 0; i < instruments; ++i) ids[i] = static_cast<std::uint32_t>(i);
        for (std::size_t k = 0; k < factors; ++k) {
            const Doubles column = k == 0 ? draw({random::first_loading_number, "normal", 1.0, 0.25, 0.2, 2.0})
                                          : draw({random::first_loading_number + k, "normal", 0.0, 0.35, -1.5, 1.5});
            for (std::size_t i = 0; i < instruments; ++i) loadings[i * factors + k] = column[i];
            for (std::size_t j = 0; j < factors; ++j) {
                covariance[k * factors + j] = (volatilities[k] * correlations[k][j]) * volatilities[j];
            }
        }
        CHECK(random::cholesky(covariance.data(), factors, root.data()).ok());
        for (std::size_t t = session; t < steps; t += session) nights[t] = 1;
    }

    Paths run(simulate::Scheme scheme, std::uint32_t substeps, double night, std::uint32_t path, std::size_t block,
              std::size_t threads) const {
        const std::uint64_t key = random::path_key(seed, path);
        const simulate::HestonModel model({instruments, factors, ids.data(), drift.data(), kappa.data(), theta.data(),
                                           xi.data(), rho.data(), own.data(), loadings.data(), covariance.data(), key,
                                           substeps, scheme});
        Paths paths{price, variance, Doubles(steps * factors), Doubles(steps * factors)};
        paths.prices.resize((steps + 1) * instruments);
        paths.variances.resize((steps + 1) * instruments);
        Doubles state = price, level(factors), shocks(steps * factors), night_shocks(steps * factors);
        state.insert(state.end(), variance.begin(), variance.end());
        for (std::size_t done = 0; done < steps; done += block) {
            const simulate::Steps part = {done + 1, std::min(block, steps - done), &lengths[done],
                                          night > 0.0 ? &nights[done] : nullptr, night / 252};
            CHECK(simulate::walk_factors({factors,
                                          root.data(),
                                          factor_drift.data(),
                                          key,
                                          part,
                                          level.data(),
                                          &paths.increments[done * factors],
                                          &paths.levels[done * factors],
                                          &shocks[done * factors],
                                          night_shocks.data(),
                                          {}})
                      .ok());
            const std::size_t at = (done + 1) * instruments;
            CHECK(model
                      .walk({part,
                             &shocks[done * factors],
                             night_shocks.data(),
                             state.data(),
                             &paths.prices[at],
                             &paths.variances[at],
                             nullptr,
                             nullptr,
                             threads,
                             {}})
                      .ok());
        }
        return paths;
    }
};

std::uint64_t checksum(const Paths& paths) {
    return test::checksum({&paths.prices, &paths.variances, &paths.increments, &paths.levels});
}

}  // namespace

int main(int count, char** arguments) {
    const char* name = nullptr;
    if (!simulate::choose_instruction_set(name).ok()) return 77;  // one that this processor lacks
    std::ifstream file(count > 1 ? arguments[1] : "tests/vectors/golden_markets.txt");
    const Market market;
    std::string line;
    while (std::getline(file, line)) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        std::string scheme, sha256;
        std::uint32_t substeps = 0, path = 0;
        double night = 0.0;
        std::uint64_t expected = 0;
        words >> scheme >> substeps >> night >> path >> sha256 >> std::hex >> expected;
        const auto made = [&](std::size_t block, std::size_t threads) {
            return checksum(market.run(scheme == "qe" ? simulate::Scheme::qe : simulate::Scheme::euler, substeps, night,
                                       path, block, threads));
        };
        const std::uint64_t found = made(steps, 1);
        std::printf("%s %u %g %u %016" PRIx64 " on %s\n", scheme.c_str(), substeps, night, path, found, name);
        CHECK_EQUAL(found, expected);
        CHECK_EQUAL(made(steps, 3), expected);
        CHECK_EQUAL(made(7, 1), expected);
    }
    return test::result();
}
