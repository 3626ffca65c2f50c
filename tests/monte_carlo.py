"""Many paths of one Heston instrument: each path is an instrument of a market without factors.

The paths of a chunk share a seed and differ by their instrument's number; the chunks have the seeds seed, seed + 1, ...
So a fixed seed fixes every figure: a test that holds at three standard errors once holds always.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pseudofeed.simulate.heston_model import simulate_heston_paths
from reference.heston_pricing import Heston

Floats = NDArray[np.float64]

_CHUNK_VALUES = 1 << 22  # prices of a chunk: 32 MiB, and as much for variances


def sample(
    model: Heston, times: Sequence[float], *, steps_a_year: int, paths: int, seed: int, scheme: str, threads: int = 2
) -> tuple[Floats, Floats]:
    """Prices and variances at `times` (years, whole numbers of steps), float64 (len(times), paths) each."""
    rows = [round(time * steps_a_year) for time in times]
    assert np.allclose(np.array(rows) / steps_a_year, times), "times must be whole numbers of steps"
    steps = max(rows)
    chunk = min(paths, max(64, _CHUNK_VALUES // (steps + 1)))
    prices, variances = np.empty((len(rows), paths)), np.empty((len(rows), paths))
    out = np.empty((steps + 1, chunk)), np.empty((steps + 1, chunk))
    for number, first in enumerate(range(0, paths, chunk)):
        width = min(chunk, paths - first)
        all_prices, all_variances = simulate_heston_paths(
            initial_prices=model.initial_price,
            initial_variances=np.full(width, model.initial_variance),
            drift=model.drift,
            kappa=model.kappa,
            theta=model.theta,
            xi=model.xi,
            rho=model.rho,
            idiosyncratic_volatility=model.own_volatility,
            dt=1 / steps_a_year,
            factor_increments=np.zeros((steps, 0)),
            factor_loadings=np.zeros((width, 0)),
            seed=seed + number,
            scheme=scheme,
            threads=threads,
            out=out if width == chunk else None,
        )
        prices[:, first : first + width] = all_prices[rows]
        variances[:, first : first + width] = all_variances[rows]
    return prices, variances


def deviation(values: Floats, expected: float) -> float:
    """How many standard errors of the mean lie between the mean of `values` and what it should be."""
    return float((values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values))))
