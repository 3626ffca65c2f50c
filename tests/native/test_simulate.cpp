// Blocks, threads and the lengths of other steps change no bit; singular and indefinite covariances. That the bits are
// the right ones is golden_paths.cpp's, golden_markets.cpp's and the oracle's.
#include <cmath>
#include <vector>

#include "check.h"
#include "random/cholesky.h"
#include "some_market.h"

using namespace pseudofeed;
using test::Doubles;
using test::Market;
using test::same;
using test::Timeline;
using test::walked;

namespace {

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
    for (const auto scheme : {simulate::Scheme::euler, simulate::Scheme::qe}) {
        for (const std::size_t count : {1, 5, 64, 150, 1100}) {
            // One length; few; and more than rows are kept for, so that some are derived on the spot.
            for (const Timeline& time : {Timeline(300, 1, 0), Timeline(300, 3, 13), Timeline(200, 97, 50)}) {
                const Market market(count);
                const auto model = market.model(scheme, 2);
                const Doubles whole = walked(market, model, time, time.count, 1);
                CHECK(same(whole, walked(market, model, time, 77, 1)));
                CHECK(same(whole, walked(market, model, time, time.count, 2)));
                CHECK(same(whole, walked(market, market.model(scheme, 2), time, 120, 7)));
            }
            const Market market(count);
            const Timeline time(9, 4, 2);
            const auto model = market.model(scheme, 1);
            CHECK(same(walked(market, model, time, 9, 1), walked(market, model, time, 1, 1)));
        }
        const Market one(150);
        const Timeline time(300, 2, 13);
        const auto model = one.model(scheme, 2);
        Doubles state = one.state;
        CHECK(model
                  .walk({time.part(0, 300),
                         time.shocks.data(),
                         time.night_shocks.data(),
                         state.data(),
                         nullptr,
                         nullptr,
                         nullptr,
                         nullptr,
                         2,
                         {}})
                  .ok());
        const Doubles kept = walked(one, model, time, 300, 1);
        CHECK(same(state, Doubles(kept.end() - 300, kept.end())));
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
