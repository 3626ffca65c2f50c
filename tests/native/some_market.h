// A market of instruments of all kinds, and walks through it, for the native tests.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "check.h"
#include "simulate/heston.h"

namespace pseudofeed::test {

using Doubles = std::vector<double>;

inline bool same(const Doubles& a, const Doubles& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

// Some steps with their shocks: dt of the step's place, a night before some.
struct Timeline {
    std::size_t count;
    Doubles dt, shocks, night_shocks;
    std::vector<std::uint8_t> nights;

    // lengths: how many different ones; night_every: steps between two nights, or 0.
    Timeline(std::size_t steps, std::size_t lengths, std::size_t night_every)
        : count(steps), dt(steps), shocks(2 * steps), night_shocks(2 * steps), nights(steps) {
        for (std::size_t t = 0; t < steps; ++t) {
            dt[t] = 0.01 / static_cast<double>(1 + (t * 7) % lengths);
            nights[t] = night_every > 0 && t > 0 && t % night_every == 0;
        }
        for (std::size_t i = 0; i < 2 * steps; ++i) {
            shocks[i] = 1e-3 * std::sin(static_cast<double>(i));
            night_shocks[i] = 2e-3 * std::cos(static_cast<double>(i));
        }
    }

    simulate::Steps part(std::size_t begin, std::size_t end) const {
        return {1 + begin, end - begin, dt.data() + begin, nights.data() + begin, 0.003};
    }
    std::size_t nights_before(std::size_t step) const {
        std::size_t found = 0;
        for (std::size_t t = 0; t < step; ++t) found += nights[t];
        return found;
    }
};

struct Market {
    std::size_t count;
    std::vector<std::uint32_t> ids;
    Doubles drift, kappa, theta, xi, rho, own, loadings, covariance{0.04, 0.01, 0.01, 0.02};
    Doubles state;  // prices, then variances

    explicit Market(std::size_t n) : count(n), ids(n), loadings(2 * n) {
        const auto varied = [n](double low, double high) {
            Doubles values(n);
            for (std::size_t i = 0; i < n; ++i) values[i] = low + (high - low) * static_cast<double>(i) / n;
            return values;
        };
        drift = varied(-0.1, 0.1), kappa = varied(0, 8), theta = varied(0.01, 0.2), xi = varied(0, 2);
        rho = varied(-1, 1), own = varied(0, 0.3), state = varied(1, 1000);
        for (const double variance : varied(0, 0.3)) state.push_back(variance);
        for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::uint32_t>(3 * i);
        for (std::size_t i = 0; i < 2 * n; ++i) loadings[i] = 0.1 * static_cast<double>(i % 7);
    }

    double& price(std::size_t i) { return state[i]; }
    double& variance(std::size_t i) { return state[count + i]; }

    simulate::HestonModel model(simulate::Scheme scheme, std::uint32_t substeps) const {
        return simulate::HestonModel({count, 2, ids.data(), drift.data(), kappa.data(), theta.data(), xi.data(),
                                      rho.data(), own.data(), loadings.data(), covariance.data(), 7, substeps, scheme});
    }
};

// Prices and variances of all steps, walked in blocks, and then the state. workers: of the last block.
inline Doubles walked(const Market& market, const simulate::HestonModel& model, const Timeline& time, std::size_t block,
                      std::size_t threads, std::size_t* workers = nullptr) {
    Doubles state = market.state, all(2 * time.count * market.count);
    for (std::size_t begin = 0; begin < time.count; begin += block) {
        const std::size_t end = std::min(begin + block, time.count);
        double* prices = all.data() + begin * market.count;
        CHECK(model
                  .walk({time.part(begin, end),
                         &time.shocks[2 * begin],
                         &time.night_shocks[2 * time.nights_before(begin)],
                         state.data(),
                         prices,
                         prices + time.count * market.count,
                         nullptr,
                         nullptr,
                         threads,
                         {}},
                        workers)
                  .ok());
    }
    all.insert(all.end(), state.begin(), state.end());
    return all;
}

}  // namespace pseudofeed::test
