"""European calls by Monte Carlo against semi-analytic prices: 45 with qe at 24 steps a year, 9 more at 96, and 24 with
Euler at 2,400.

Each must lie within three standard errors of the sample. Seeds are fixed, so it does always or never; with fresh seeds,
one in five or so of such runs of 78 comparisons would have a miss by chance alone.

Why one market needs 96 steps a year: with xi = 1 and rho = -0.9 the scheme itself, not only ours, is not exact at 24.
The call at 100 in three months (six steps), worth 3.030, comes out too low by 0.0125 +- 0.0014 (4,000,000 paths), and a
QE-M written in NumPy with other random numbers says 0.0118 +- 0.0014; at 48 steps a year it is 0.0043, at 96 nothing
that is seen. docs/model.md has the table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monte_carlo import deviation, sample
from reference.heston_pricing import Heston, call

MODELS = {
    # Andersen (2008), table 1: Feller's condition is violated by far.
    "andersen 1": Heston(kappa=0.5, theta=0.04, xi=1.0, rho=-0.9, initial_variance=0.04),
    "andersen 2": Heston(kappa=0.3, theta=0.04, xi=0.9, rho=-0.5, initial_variance=0.04, own_volatility=0.1),
    "andersen 3": Heston(kappa=1.0, theta=0.09, xi=1.0, rho=-0.3, initial_variance=0.09, drift=0.03),
    "violated": Heston(
        kappa=2.0, theta=0.04, xi=0.5, rho=-0.7, initial_variance=0.04, own_volatility=0.1, drift=0.05
    ),
    "kept": Heston(kappa=4.0, theta=0.06, xi=0.4, rho=-0.6, initial_variance=0.1, own_volatility=0.15, drift=0.08),
    "kept, positive rho": Heston(kappa=5.0, theta=0.1, xi=0.6, rho=0.5, initial_variance=0.05, drift=-0.02),
}  # fmt: skip
STRIKES = {0.25: (90, 100, 110), 0.5: (85, 100, 115), 1.0: (80, 100, 120), 2.0: (70, 100, 140)}


def worst_deviation(model: Heston, times: tuple[float, ...], *, steps_a_year: int, paths: int, scheme: str) -> float:
    prices, _ = sample(model, times, steps_a_year=steps_a_year, paths=paths, seed=100, scheme=scheme)
    worst = 0.0
    for row, time in enumerate(times):
        for strike in STRIKES[time]:
            off = deviation(np.maximum(prices[row] - strike, 0), call(model, strike, time))
            print(f"{time} years, strike {strike}: {off:+.2f} standard errors")
            worst = max(worst, abs(off))
    return worst


@pytest.mark.parametrize(("name", "steps_a_year"), [(name, 96 if name == "andersen 1" else 24) for name in MODELS])
def test_qe_prices_calls(name: str, steps_a_year: int) -> None:
    times = (0.25, 1.0, 2.0)
    assert worst_deviation(MODELS[name], times, steps_a_year=steps_a_year, paths=500_000, scheme="qe") < 3


@pytest.mark.parametrize("name", ["andersen 2", "andersen 3", "violated", "kept"])
def test_euler_at_2400_steps_a_year_prices_calls(name: str) -> None:
    assert worst_deviation(MODELS[name], (0.25, 0.5), steps_a_year=2_400, paths=100_000, scheme="euler") < 3


def test_a_price_that_is_not_hestons_is_seen() -> None:
    """The comparison can fail: prices of another rho, or of another own volatility, are far off."""
    prices, _ = sample(MODELS["kept"], (0.5,), steps_a_year=24, paths=200_000, seed=100, scheme="qe")
    calls = np.maximum(prices[0] - 115, 0)
    for wrong in (replace(MODELS["kept"], rho=-0.2), replace(MODELS["kept"], own_volatility=0.12)):
        assert abs(deviation(calls, call(wrong, 115, 0.5))) > 3
