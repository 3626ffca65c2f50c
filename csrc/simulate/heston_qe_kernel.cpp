// Andersen's quadratic-exponential scheme with martingale correction: L. Andersen, "Simple and efficient simulation of
// the Heston stochastic volatility model", Journal of Computational Finance 11(3), 2008; psi_c = 1.5, gamma1 = gamma2 =
// 1/2. The variance stays >= 0.
//
// His formulas divide by xi and take differences of nearly equal numbers where kappa dt or xi sqrt(dt) is small (1e-7
// and 1e-4 at steps of a second). These are the same, rearranged so that neither happens and kappa = 0 and xi = 0 need
// no case of their own (where xi is 0, rho is taken as 0: it has no effect in law). With m = E[v'], and v' = m + xi x:
//
//     m = v exp(-kappa dt) + theta q,    h = sqrt(v c exp(-kappa dt) + theta q c / 2),    w = xi h / m,    psi = w^2
//     quadratic:    R = sqrt(4 - 2 psi), B = 2 - psi + R (his b^2 psi), psi + B = 2 + R, g = 2 h / (2 + R)
//                   v' = m (sqrt(B) + w z_v)^2 / (2 + R),    x = g (sqrt(B) z_v + w (z_v^2 - 1) / 2)
//     exponential:  t = 2 / (1 + psi) (his 1 - p), v' = m L / t, L = log(t / u) where u < t, else 0; x = (h / w)(L / t
//     - 1)
//
//     log S' = log S + (mu - (s^2 + b'Sigma b)/2) dt + b'(dF - mu_F dt) - (v + v') dt/4 + rho (1 + kappa dt / 2) x
//              + sqrt((1 - rho^2)(v + v') dt/2 + s^2 dt) z_p + K
//     K = rho^2 (v + m) dt / 4 - log E[exp(alpha x)],    alpha = rho (1 + kappa dt / 2) - xi rho^2 dt / 4
//
// so that E[S'] = S exp(mu dt) exactly. In the two cases, with y = 2 A a and y = A / beta of the paper (A = alpha /
// xi):
//
//     log E[exp(alpha x)] = (B (alpha g)^2 / (1 - y) - log(1 - y) - y) / 2,                  y = alpha w g
//     log E[exp(alpha x)] = log((1 - (1 - t) y) / (1 - y)) - alpha h / w,                    y = alpha (h / w) / t
//
// Where y >= 1 (rho > 0 and coarse steps) the expectation is infinite, and the paper's condition fails: such a step is
// taken without the correction, K = (rho / xi)(m - v - kappa dt (theta - (v + m)/2)).
#include "simulate/heston_walk.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

namespace {

constexpr double psi_c = 1.5;

// Below it a mean variance counts as zero, and moves without noise: w would overflow.
constexpr double least_variance = 1e-200;

struct Qe {
    static constexpr std::size_t derived_count = qe::derived_count;

    template <class Put>
    static void derive(RowLanes constants, double dt, double, Put put) {
        const Doubles theta = constants[qe::theta];
        const Doubles rho = constants[qe::rho];
        const Doubles kappa_dt = constants[qe::kappa] * dt;
        const Doubles decay = random::exponential(-kappa_dt);
        const Doubles q = -random::exponential_minus_1(-kappa_dt);
        const Doubles c = choose(greater(kappa_dt, 0.0), (q / kappa_dt) * dt, Doubles::of(dt));
        const Doubles lift = rho * (1.0 + 0.5 * kappa_dt);
        const Doubles quarter_rho = 0.25 * ((rho * rho) * dt);
        const Doubles uncorrected = constants[qe::rho_over_xi] * (q * (1.0 + 0.5 * kappa_dt) - kappa_dt);
        put(qe::drift_dt, constants[qe::drift] * dt);
        put(qe::decay, decay);
        put(qe::pull, theta * q);
        put(qe::spread_v, c * decay);
        put(qe::spread_theta, 0.5 * ((theta * q) * c));
        put(qe::noise, constants[qe::xi]);  // so that a step reads one array of rows
        put(qe::lift, lift);
        put(qe::quarter_rho, quarter_rho);
        put(qe::alpha, lift - constants[qe::xi] * quarter_rho);
        put(qe::tail_dt, 0.5 * ((1.0 - rho * rho) * dt));
        put(qe::own_dt, constants[qe::own_variance] * dt);
        put(qe::uncorrected, uncorrected);
        put(qe::uncorrected_at, uncorrected * theta);
    }

    static Doubles move(const Substep& at, Doubles z_v, Doubles z_p, Doubles factor, Doubles& variance) {
        using random::logarithm;
        using random::square_root;
        const Doubles mean = variance * at.derived[qe::decay] + at.derived[qe::pull];
        const Doubles h = square_root(variance * at.derived[qe::spread_v] + at.derived[qe::spread_theta]);
        const Doubles w = choose(greater(mean, least_variance), (at.derived[qe::noise] * h) / mean, Doubles{});
        const Doubles psi = w * w;
        const Doubles alpha = at.derived[qe::alpha];

        const Doubles r = square_root(4.0 - 2.0 * psi);
        const Doubles b_squared = (2.0 - psi) + r;
        const Doubles b = square_root(b_squared);
        const Doubles share = 1.0 / (2.0 + r);
        const Doubles g = (2.0 * h) * share;
        const Doubles normal = b + w * z_v;
        const Doubles tilt = alpha * g;
        Doubles y = w * tilt;
        Doubles next = (mean * share) * (normal * normal);
        Doubles x = g * (b * z_v + (0.5 * w) * (z_v * z_v - 1.0));
        Doubles moment = 0.5 * ((b_squared * (tilt * tilt)) / (1.0 - y) - (logarithm(1.0 - y) + y));

        const random::Mask exponential = greater(psi, psi_c);
        if (random::any(exponential)) {
            const Words64 id = load(at.ids);
            const Doubles u =
                random::uniforms<Doubles>(
                    random::draw(at.key, id, at.step, random::purpose_word(random::variance_purpose, at.number)))
                    .u1;
            const Doubles t = 2.0 / (1.0 + psi);
            const Doubles ratio = choose(less(u, t), logarithm(t / u), Doubles{}) / t;
            const Doubles scale = h / w;
            const Doubles y_exponential = (alpha * scale) / t;
            y = choose(exponential, y_exponential, y);
            next = choose(exponential, mean * ratio, next);
            x = choose(exponential, scale * (ratio - 1.0), x);
            moment = choose(exponential, logarithm((1.0 - (1.0 - t) * y) / (1.0 - y)) - alpha * scale, moment);
        }

        const Doubles corrected = at.derived[qe::quarter_rho] * (variance + mean) - moment;
        const Doubles uncorrected = at.derived[qe::uncorrected_at] - at.derived[qe::uncorrected] * variance;
        const Doubles correction = choose(less(y, 1.0), corrected, uncorrected);
        const Doubles sum = variance + next;
        const Doubles drift = (at.derived[qe::drift_dt] - (0.25 * at.dt) * sum) + factor;
        const Doubles last = square_root(at.derived[qe::tail_dt] * sum + at.derived[qe::own_dt]);
        variance = next;
        return drift + ((at.derived[qe::lift] * x + correction) + last * z_p);
    }
};

}  // namespace

PriceRange heston_qe(const HestonTile& tile) { return Walk<Qe>(tile).segments(); }

void derive_qe(const double* constants, std::size_t stride, std::size_t instruments, double dt, double* derived) {
    derive_rows<Qe>(constants, stride, instruments, dt, random::square_root(dt), derived, stride);
}

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
