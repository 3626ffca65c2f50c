// What a walk does besides its numbers: it names the step at which an instrument leaves its range and leaves everything
// as it was, ends soon when it is interrupted, uses the threads that it is given, and knows when nothing can fail.
#include <chrono>
#include <string>
#include <vector>

#include "check.h"
#include "simulate/factors.h"
#include "some_market.h"

using namespace pseudofeed;
using test::Doubles;
using test::Market;
using test::same;
using test::Timeline;

namespace {

constexpr std::size_t steps = 300;

struct Failed {
    Code code;
    std::string text;
    bool untouched;
};

// A walk that is to fail, into arrays that hold something.
Failed failed(const Market& market, simulate::Scheme scheme, const Timeline& time, std::uint32_t substeps,
              std::size_t threads, simulate::Interruption interruption = {}) {
    const std::size_t size = time.count * market.count;
    Doubles state = market.state, prices(size), variances(size), old_prices(size), old_variances(size);
    for (std::size_t i = 0; i < size; ++i) prices[i] = static_cast<double>(i), variances[i] = -prices[i];
    const Doubles before = prices, before_variances = variances;
    const Status status =
        market.model(scheme, substeps)
            .walk({time.part(0, time.count), time.shocks.data(), time.night_shocks.data(), state.data(), prices.data(),
                   variances.data(), old_prices.data(), old_variances.data(), threads, interruption});
    return {status.code, status.message,
            same(state, market.state) && same(prices, before) && same(variances, before_variances)};
}

void test_range() {
    for (const auto scheme : {simulate::Scheme::euler, simulate::Scheme::qe}) {
        for (const std::size_t threads : {1u, 2u, 5u}) {
            Market market(170);
            market.variance(169) = 1e300;
            market.variance(168) = 1e300;
            const Failed early = failed(market, scheme, Timeline(steps, 1, 0), 2, threads);
            CHECK(early.code == Code::not_finite && early.untouched);
            CHECK(early.text.find("instrument 504 left its range at step 1:") == 0);
        }
    }
    // A price beyond the range for one step only: it would be back at the next, and the end would tell nothing. The
    // night before step 200 takes it there, or step 201's shock.
    for (const bool at_night : {true, false}) {
        for (const std::size_t threads : {1u, 2u}) {
            Market market(600);
            market.loadings[2 * 333] = 1.0;
            for (std::size_t i = 0; i < 600; ++i) {
                if (i != 333) market.loadings[2 * i] = market.loadings[2 * i + 1] = 0.0;
            }
            Timeline time(steps, 1, 0);
            time.nights[199] = 1;
            if (at_night) time.night_shocks[0] = 230.0, time.shocks[2 * 199] = -230.0;
            if (!at_night) time.shocks[2 * 200] = -300.0, time.shocks[2 * 201] = 300.0;
            const Failed once = failed(market, simulate::Scheme::euler, time, 1, threads);
            CHECK(once.code == Code::not_finite && once.untouched);
            CHECK(once.text.find(at_night ? "instrument 999 left its range in the night before step 200: price "
                                          : "instrument 999 left its range at step 201: price ") == 0);
        }
    }
    // The earliest step counts, whichever tile it is in.
    Market market(1100);
    market.own[3] = 100;
    market.variance(900) = 1e300;
    for (const std::size_t threads : {1u, 3u}) {
        CHECK(failed(market, simulate::Scheme::euler, Timeline(steps, 1, 0), 1, threads)
                  .text.find("instrument 2700 left its range at step 1:") == 0);
    }
}

void test_interruption() {
    using Clock = std::chrono::steady_clock;
    struct Context {
        Clock::time_point asked{};
        int count = 0;
    };
    for (const std::size_t threads : {1u, 2u}) {
        for (const std::uint32_t substeps : {3000u, 30'000u}) {
            Context context;
            const simulate::Interruption second = {[](void* given) {
                                                       auto& one = *static_cast<Context*>(given);
                                                       one.asked = Clock::now();
                                                       return ++one.count == 2;
                                                   },
                                                   &context};
            const Timeline days(252, 3, 0);
            const Failed ended = failed(Market(100), simulate::Scheme::qe, days, substeps, threads, second);
            // Within some 20 ms, or more where the machine is busy; the whole walk takes 2 s, or 20.
            CHECK(Clock::now() - context.asked < std::chrono::milliseconds(600));
            CHECK(ended.code == Code::interrupted && ended.untouched && context.count == 2);
        }
    }
    const std::size_t many = 12'000'000;  // 0.2 s; it is asked after 50 ms
    const Doubles root{1.0}, drift{0.0}, dt(many, 1.0);
    Doubles level{5.0}, increments(many), levels(many);
    const simulate::Interruption now = {[](void*) { return true; }, nullptr};
    CHECK(simulate::walk_factors({1,
                                  root.data(),
                                  drift.data(),
                                  7,
                                  {1, many, dt.data(), nullptr, 0.0},
                                  level.data(),
                                  increments.data(),
                                  levels.data(),
                                  nullptr,
                                  nullptr,
                                  now})
              .code == Code::interrupted);
    CHECK_EQUAL(level[0], 5.0);
}

void test_workers() {
    std::size_t workers = 0;
    const Market market(1000);
    const auto model = market.model(simulate::Scheme::euler, 16);
    for (const std::size_t threads : {1u, 2u, 16u}) {
        test::walked(market, model, Timeline(2000, 1, 0), 2000, threads, &workers);
        CHECK_EQUAL(workers, threads);
    }
    test::walked(market, model, Timeline(1, 1, 0), 1, 16, &workers);  // too little work for them
    CHECK_EQUAL(workers, 1u);
    test::walked(Market(100), Market(100).model(simulate::Scheme::euler, 1), Timeline(20'000, 1, 0), 20'000, 16,
                 &workers);
    CHECK_EQUAL(workers, 7u);  // of 16 instruments each, whole registers of the widest set
}

void test_bound() {
    const Market market(100);
    const Doubles none(2);
    for (const auto scheme : {simulate::Scheme::euler, simulate::Scheme::qe}) {
        const auto may_fail = [&](std::size_t count, double dt) {
            return market.model(scheme, 1).may_fail(count, dt, none.data(), market.state.data());
        };
        CHECK(!may_fail(1000, 1.7e-7));
        CHECK(may_fail(1'000'000, 1.7e-7));
        CHECK(!may_fail(3, 1.0 / 252));
        CHECK(may_fail(10'000, 1.0 / 252));
        CHECK(may_fail(1, 1e9));
        const Doubles shocks{3000.0, 0.0};
        CHECK(market.model(scheme, 1).may_fail(1, 1e-9, shocks.data(), market.state.data()));
        Market low(100);
        low.price(7) = 1.2e-100;
        CHECK(low.model(scheme, 1).may_fail(1000, 1.7e-7, none.data(), low.state.data()));
    }
}

}  // namespace

int main() {
    test_range();
    test_interruption();
    test_workers();
    test_bound();
    return test::result();
}
