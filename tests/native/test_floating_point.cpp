// A hostile floating-point environment of the caller: every native entry point that computes returns the same bits, in
// all its threads, and leaves the environment as it was.
#include <cfenv>
#include <cstring>
#include <vector>

#include "check.h"
#include "random/arrays.h"
#include "random/cholesky.h"
#include "random/counters.h"
#include "simulate/factors.h"
#include "simulate/heston.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace pseudofeed;
using Doubles = std::vector<double>;

namespace {

// What a caller may have set: rounding up, and subnormal numbers taken and given as zero.
class Hostile {
  public:
    Hostile() : before_(read()) { std::fesetround(FE_UPWARD), set(read() | flush); }
    ~Hostile() {
        std::fesetround(FE_TONEAREST);
        set(before_);
    }
    static bool is_set() { return std::fegetround() == FE_UPWARD && (read() & flush) == flush; }

  private:
#if defined(__SSE2__)
    using Register = unsigned;
    static constexpr Register flush = 0x8040;  // FTZ, DAZ
    static Register read() { return _mm_getcsr(); }
    static void set(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
    using Register = std::uint64_t;
    static constexpr Register flush = std::uint64_t{1} << 24;  // FZ
    static Register read() {
        Register value;
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void set(Register value) { __asm__ __volatile__("msr fpcr, %0" : : "r"(value)); }
#else
    using Register = unsigned;
    static constexpr Register flush = 0;
    static Register read() { return 0; }
    static void set(Register) {}
#endif
    Register before_;
};

constexpr std::size_t instruments = 200, steps = 400;

// Everything that the entry points return. Arithmetic here must be exact: it is the hostile environment's.
Doubles everything(simulate::Scheme scheme, std::size_t threads) {
    Doubles all;
    const auto keep = [&all](const Doubles& more) { all.insert(all.end(), more.begin(), more.end()); };
    std::vector<std::uint32_t> ids(instruments);
    for (std::size_t i = 0; i < instruments; ++i) ids[i] = static_cast<std::uint32_t>(i);
    Doubles a(instruments), b(instruments), c(instruments);
    random::normals_of(7, ids.data(), instruments, 3, random::parameter_purpose, a.data(), b.data());
    keep(a), keep(b);
    random::exponentials_of(a.data(), instruments, c.data()), keep(c);
    random::exponentials_minus_1_of(a.data(), instruments, c.data()), keep(c);
    random::uniforms_of(7, ids.data(), instruments, 3, random::parameter_purpose, a.data(), b.data());
    keep(a), keep(b);
    random::logarithms_of(a.data(), instruments, c.data()), keep(c);
    random::turns_of(b.data(), instruments, a.data(), c.data());
    keep(a), keep(c);

    const Doubles covariance{0.0256, 0.00384, -0.00192, 0.00384, 0.0064, 0.00048, -0.00192, 0.00048, 0.0036};
    Doubles root(9), drift{0.05, 0.0, -0.01};
    CHECK(random::cholesky(covariance.data(), 3, root.data()).ok());
    keep(root);
    Doubles dt(steps, 0x1p-12), level(3), increments(3 * steps), levels(3 * steps), shocks(3 * steps), nights(3);
    std::vector<std::uint8_t> gaps(steps);
    gaps[100] = 1;
    const simulate::Steps time = {1, steps, dt.data(), gaps.data(), 0.002};
    CHECK(simulate::walk_factors({3,
                                  root.data(),
                                  drift.data(),
                                  7,
                                  time,
                                  level.data(),
                                  increments.data(),
                                  levels.data(),
                                  shocks.data(),
                                  nights.data(),
                                  {}})
              .ok());
    keep(increments), keep(levels), keep(shocks), keep(nights);

    // A variance that comes near 0, where subnormal numbers occur: kappa and theta of some instruments are 0.
    Doubles kappa(instruments), theta(instruments), xi(instruments), rho(instruments, -0.75), own(instruments, 0.1);
    Doubles state(2 * instruments, 50.0), loadings(3 * instruments, 0.9), mu(instruments, 0.05);
    for (std::size_t i = 0; i < instruments; ++i) {
        kappa[i] = i % 3 == 0 ? 0.0 : 2.0 + static_cast<double>(i) / 128;
        theta[i] = i % 3 == 0 ? 0.0 : 0.04;
        xi[i] = static_cast<double>(i) / 128;
        state[instruments + i] = i % 5 == 0 ? 1e-307 : 0.04;
    }
    const simulate::HestonModel model({instruments, 3, ids.data(), mu.data(), kappa.data(), theta.data(), xi.data(),
                                       rho.data(), own.data(), loadings.data(), covariance.data(), 7, 2, scheme});
    Doubles prices(instruments * steps), variances(instruments * steps);
    std::size_t workers = 0;
    CHECK(model
              .walk({time,
                     shocks.data(),
                     nights.data(),
                     state.data(),
                     prices.data(),
                     variances.data(),
                     nullptr,
                     nullptr,
                     threads,
                     {}},
                    &workers)
              .ok());
    CHECK(workers >= 1 && workers <= threads);  // one that starts late finds the work done
    keep(prices), keep(variances), keep(state);
    return all;
}

}  // namespace

int main() {
    for (const auto scheme : {simulate::Scheme::euler, simulate::Scheme::qe}) {
        const Doubles expected = everything(scheme, 1);
        for (const std::size_t threads : {1u, 4u}) {
            Doubles found;
            bool restored = false;
            {
                const Hostile environment;
                CHECK(Hostile::is_set());
                found = everything(scheme, threads);
                restored = Hostile::is_set();
            }
            CHECK(restored);
            CHECK(found.size() == expected.size() &&
                  std::memcmp(found.data(), expected.data(), expected.size() * sizeof(double)) == 0);
        }
    }
    return test::result();
}
