// The golden paths: 1,000 instruments by 1,000 steps of each scheme must have the checksums that stand in
// tests/vectors/golden_paths.txt, with any compiler, instruction set, number of threads and cut into blocks.
// tests/unit/test_golden.py makes the same paths from Python.
//
// usage: golden_paths FILE    (the file's lines: scheme substeps sha256 checksum; # begins a comment)
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "checksum.h"
#include "random/cholesky.h"
#include "simulate/factors.h"
#include "simulate/heston.h"

using namespace pseudofeed;

namespace {

constexpr std::size_t instruments = 1000, steps = 1000, factors = 3;
constexpr double dt = 1.0 / 252;
constexpr std::uint64_t seed = 7;

struct Golden {
    std::vector<std::uint32_t> ids = std::vector<std::uint32_t>(instruments);
    std::vector<double> price, variance, drift, kappa, theta, xi, rho, own, loadings, covariance, shocks;

    Golden() {
        const double volatilities[factors] = {0.16, 0.08, 0.06};
        const double correlations[factors][factors] = {{1.0, 0.3, -0.2}, {0.3, 1.0, 0.1}, {-0.2, 0.1, 1.0}};
        for (std::size_t i = 0; i < instruments; ++i) {
            const double r = static_cast<double>(i) / 1000.0;
            ids[i] = static_cast<std::uint32_t>(i);
            price.push_back(50.0 + 100.0 * r);
            variance.push_back(0.01 + 0.09 * r);
            drift.push_back(0.05);
            kappa.push_back(4.0 * r);
            theta.push_back(0.04 + 0.04 * r);
            xi.push_back(1.3 * r);
            rho.push_back(2.0 * r - 1.0);
            own.push_back(0.2 * r);
            loadings.insert(loadings.end(), {1.0 + r, r, -r});
        }
        for (std::size_t i = 0; i < factors; ++i) {
            for (std::size_t j = 0; j < factors; ++j) {
                covariance.push_back((volatilities[i] * correlations[i][j]) * volatilities[j]);
            }
        }
        std::vector<double> root(factors * factors), zero(factors), level(factors), levels(steps * factors);
        const std::vector<double> lengths(steps, dt);
        shocks.resize(steps * factors);
        CHECK(random::cholesky(covariance.data(), factors, root.data()).ok());
        CHECK(simulate::walk_factors({factors,
                                      root.data(),
                                      zero.data(),
                                      seed,
                                      {1, steps, lengths.data(), nullptr, 0.0},
                                      level.data(),
                                      shocks.data(),
                                      levels.data(),
                                      nullptr,
                                      nullptr,
                                      {}})
                  .ok());
    }

    simulate::HestonModel model(simulate::Scheme scheme, std::uint32_t substeps) const {
        return simulate::HestonModel({instruments, factors, ids.data(), drift.data(), kappa.data(), theta.data(),
                                      xi.data(), rho.data(), own.data(), loadings.data(), covariance.data(), seed,
                                      substeps, scheme});
    }
};

std::uint64_t run(const Golden& golden, const simulate::HestonModel& model, std::size_t threads, std::size_t block) {
    std::vector<double> prices(golden.price), variances(golden.variance);
    prices.resize((steps + 1) * instruments);
    variances.resize((steps + 1) * instruments);
    std::vector<double> state(golden.price);
    state.insert(state.end(), golden.variance.begin(), golden.variance.end());
    const std::vector<double> lengths(steps, dt);
    for (std::size_t done = 0; done < steps; done += block) {
        const std::size_t count = std::min(block, steps - done), at = (done + 1) * instruments;
        CHECK(model
                  .walk({{done + 1, count, lengths.data(), nullptr, 0.0},
                         golden.shocks.data() + done * factors,
                         nullptr,
                         state.data(),
                         prices.data() + at,
                         variances.data() + at,
                         nullptr,
                         nullptr,
                         threads,
                         {}})
                  .ok());
    }
    return test::checksum({&prices, &variances});
}

}  // namespace

int main(int count, char** arguments) {
    const char* name = nullptr;
    if (!simulate::choose_instruction_set(name).ok()) return 77;  // one that this processor lacks
    std::ifstream file(count > 1 ? arguments[1] : "tests/vectors/golden_paths.txt");
    const Golden golden;
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string scheme, sha256;
        std::uint32_t substeps = 0;
        std::uint64_t expected = 0;
        if (line.empty() || line[0] == '#') continue;
        words >> scheme >> substeps >> sha256 >> std::hex >> expected;
        const auto model = golden.model(scheme == "qe" ? simulate::Scheme::qe : simulate::Scheme::euler, substeps);
        const std::uint64_t found = run(golden, model, 1, steps);
        std::printf("%s %u %016" PRIx64 " on %s\n", scheme.c_str(), substeps, found, name);
        CHECK_EQUAL(found, expected);
        CHECK_EQUAL(run(golden, model, 2, steps), expected);
        CHECK_EQUAL(run(golden, model, 3, 387), expected);
    }
    return test::result();
}
