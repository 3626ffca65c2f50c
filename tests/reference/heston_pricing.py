"""European calls in the Heston model with an own volatility, by quadrature of the characteristic function: slow, plain.

The model is the one of docs/model.md without factors: log S has the variance v (Heston) and, independent of it, the
constant variance s^2. The two parts of ln(S_T / F), F = S_0 e^{mu T}, are independent given nothing else, so their
characteristic functions multiply:

    phi(u) = exp(C(u) + D(u) v0) * exp(-(u^2 + i u) s^2 T / 2)

C and D in the form of Albrecher, Mayer, Schoutens and Tistaert, "The little Heston trap", Wilmott Magazine, January
2007: with it the complex logarithm stays on its principal branch for every maturity. The price is Lewis's
single integral along Im u = -1/2 (A. Lewis, "A simple option formula for general jump-diffusion and other exponential
Levy processes", 2001, formula (3.11)), which has no pole and an integrand that decays exponentially.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

from scipy.integrate import quad

__all__ = ["Heston", "call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heston:
    """One instrument, all rates per year; xi > 0."""

    kappa: float
    theta: float
    xi: float
    rho: float
    initial_variance: float
    own_volatility: float = 0.0
    drift: float = 0.0
    initial_price: float = 100.0

    @property
    def feller(self) -> bool:
        """Whether 2 kappa theta >= xi^2, so that the exact variance never reaches zero."""
        return 2 * self.kappa * self.theta >= self.xi * self.xi

    def forward(self, maturity: float) -> float:
        return self.initial_price * math.exp(self.drift * maturity)

    def variance_mean(self, time: float) -> float:
        """E[v_t] of Cox, Ingersoll and Ross, "A theory of the term structure of interest rates", Econometrica 53,
        1985, formula (19)."""
        return self.theta + (self.initial_variance - self.theta) * math.exp(-self.kappa * time)

    def variance_variance(self, time: float) -> float:
        """Var[v_t], the same place."""
        decay, xi2 = math.exp(-self.kappa * time), self.xi * self.xi
        start = self.initial_variance * xi2 / self.kappa * (decay - decay * decay)
        return start + self.theta * xi2 / (2 * self.kappa) * (1 - decay) ** 2

    def characteristic(self, u: complex, maturity: float) -> complex:
        """E[exp(i u ln(S_T / F))], for -1 <= Im u <= 0."""
        xi2 = self.xi * self.xi
        b = self.kappa - self.rho * self.xi * 1j * u
        d = cmath.sqrt(b * b + xi2 * (1j * u + u * u))
        g = (b - d) / (b + d)
        decay = cmath.exp(-d * maturity)
        c = self.kappa * self.theta / xi2 * ((b - d) * maturity - 2 * cmath.log((1 - g * decay) / (1 - g)))
        big_d = (b - d) / xi2 * (1 - decay) / (1 - g * decay)
        own = -0.5 * (u * u + 1j * u) * self.own_volatility**2 * maturity
        return cmath.exp(c + big_d * self.initial_variance + own)


def call(model: Heston, strike: float, maturity: float) -> float:
    """E[max(S_T - K, 0)], not discounted; to about 1e-9 of the forward."""
    forward = model.forward(maturity)
    k = math.log(forward / strike)

    def integrand(u: float) -> float:
        return (cmath.exp(1j * u * k) * model.characteristic(u - 0.5j, maturity)).real / (u * u + 0.25)

    # Where the integrand has died away, found by doubling: quad's own map of [0, inf) wastes points on the tail.
    end = 16.0
    while abs(model.characteristic(end - 0.5j, maturity)) / (end * end) > 1e-14:
        end *= 2
    integral, _ = quad(integrand, 0.0, end, epsabs=1e-11, epsrel=1e-11, limit=2000)
    return forward - math.sqrt(forward * strike) / math.pi * integral
