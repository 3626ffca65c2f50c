"""Instrument-steps a second, one thread, prices and variances of every step stored: ours and vectorised NumPy's.

The same work as peers/simulate.py: three correlated factors, own volatility, Heston by Euler with full truncation.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from peers import simulate as peers
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths

VOLATILITIES = [0.16, 0.08, 0.06]
CORRELATIONS = np.full((3, 3), 0.3) + 0.7 * np.eye(3)


def ours(steps: int, loadings: np.ndarray) -> None:
    increments, _ = simulate_factor_returns(steps, VOLATILITIES, CORRELATIONS, dt=peers.DT, seed=1)
    simulate_heston_paths(
        initial_prices=100.0,
        initial_variances=0.04,
        drift=peers.MU,
        kappa=peers.KAPPA,
        theta=peers.THETA,
        xi=peers.XI,
        rho=peers.RHO,
        dt=peers.DT,
        factor_increments=increments,
        factor_loadings=loadings,
        idiosyncratic_volatility=peers.OWN,
        seed=1,
    )


@pytest.mark.parametrize("instruments", [100, 1_000, 10_000])
@pytest.mark.parametrize("who", ["numpy", "pseudofeed"])
def test_simulate(benchmark: BenchmarkFixture, who: str, instruments: int) -> None:
    steps = 2_000_000 // instruments
    _, loadings = peers.setting(instruments)
    work = (peers.numpy_paths, (instruments, steps)) if who == "numpy" else (ours, (steps, loadings))
    benchmark.group = f"simulate {instruments} instruments x {steps} steps"
    benchmark.pedantic(work[0], args=work[1], rounds=3, warmup_rounds=1)
    assert benchmark.stats is not None
    benchmark.extra_info["million_instrument_steps_per_second"] = instruments * steps / benchmark.stats.stats.min / 1e6
