"""The work that bench_simulate.py and simulate_table.py measure: that of peers/simulate.py, by us and by the peers.

N instruments, three correlated factors, own volatility, Heston; prices and variances of every step are stored, in new
arrays where not "in place". QuantLib walks one instrument without factors, which is less work, path after path.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers import simulate as peers
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths

__all__ = ["OURS", "SIZES", "WHO", "work"]

SIZES = peers.SIZES
OURS = ("euler", "euler in place", "qe", "qe in place")
WHO = ("numpy", "numba", "quantlib", *(name + threads for name in OURS for threads in ("", ", 2 threads")))

_VOLATILITIES = [0.16, 0.08, 0.06]
_CORRELATIONS = np.full((3, 3), 0.3) + 0.7 * np.eye(3)
_COVARIANCE = np.outer(_VOLATILITIES, _VOLATILITIES) * _CORRELATIONS
_QUANTLIB = (300, 1_000)  # paths, steps


def work(who: str, instruments: int, steps: int) -> tuple[Callable[[], object], int]:
    """What to call, and how many instrument-steps a call makes."""
    if who == "quantlib":
        paths, length = _QUANTLIB
        return lambda: peers.quantlib_rate(paths, length), paths * length
    if who == "numpy":
        return lambda: peers.numpy_paths(instruments, steps), instruments * steps
    if who == "numba":
        run = peers.numba_paths()
        return lambda: run(instruments, steps), instruments * steps
    _, loadings = peers.setting(instruments)
    scheme, threads = who.replace(",", "").split()[0], 2 if who.endswith("2 threads") else 1
    factors_out = heston_out = None
    if "in place" in who:
        factors_out = np.zeros((steps, 3)), np.zeros((steps, 3))
        heston_out = np.zeros((steps + 1, instruments)), np.zeros((steps + 1, instruments))
    return lambda: _ours(steps, loadings, scheme, threads, factors_out, heston_out), instruments * steps


def _ours(
    steps: int,
    loadings: np.ndarray,
    scheme: str,
    threads: int,
    factors_out: tuple[np.ndarray, np.ndarray] | None,
    heston_out: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    increments, _ = simulate_factor_returns(steps, _VOLATILITIES, _CORRELATIONS, dt=peers.DT, seed=1, out=factors_out)
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
        factor_covariance=_COVARIANCE,
        factor_loadings=loadings,
        idiosyncratic_volatility=peers.OWN,
        seed=1,
        scheme=scheme,
        threads=threads,
        out=heston_out,
    )
