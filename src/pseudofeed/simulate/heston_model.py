"""Heston prices with factor loadings and an own volatility; the schemes are csrc/simulate/heston_*_kernel.cpp."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from pseudofeed.errors import MarketWarning
from pseudofeed.market.correlations import check_form, covariance_root, repaired
from pseudofeed.market.schemes import MOST_SUBSTEPS, SCHEMES
from pseudofeed.random import _random
from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import (
    Floats,
    array,
    check_labels,
    integer,
    outputs,
    thread_count,
    year_fraction,
)

__all__ = ["simulate_heston_paths"]

_LEAST_TICKS = 131_072  # between two looks at the bound


def simulate_heston_paths(
    *,
    initial_prices: ArrayLike,
    initial_variances: ArrayLike,
    drift: ArrayLike,
    kappa: ArrayLike,
    theta: ArrayLike,
    xi: ArrayLike,
    rho: ArrayLike,
    dt: float,
    factor_increments: ArrayLike,
    factor_loadings: ArrayLike,
    idiosyncratic_volatility: ArrayLike,
    seed: int,
    factor_drifts: ArrayLike | None = None,
    factor_covariance: ArrayLike | None = None,
    scheme: str = "euler",
    substeps: int = 1,
    threads: int | None = None,
    out: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Simulate N Heston instruments that load on K given factors.

        dv = κ(θ − v)dt + ξ √v dW_v
        dS / S = μ dt + β·(dF − μ_F dt) + s dW_e + √v dW_S,   corr(dW_S, dW_v) = ρ

    Scalars broadcast over the instruments. All rates are per year. pandas' Series and DataFrames are taken by position,
    so those that have labels must have the same ones in the same order. The default index 0, 1, 2, ... is no label,
    unless another argument has numbers as labels.

    Parameters
    ----------
    initial_prices, initial_variances : (N,), > 0 and >= 0.
    drift, kappa, theta, xi, rho : (N,); kappa, theta, xi >= 0, rho in [-1, 1]. theta is a variance per year.
    dt : the length of a step in years.
    factor_increments : (T, K), as `simulate_factor_returns` gives them.
    factor_loadings : (N, K); or (K,) if all instruments have the same.
    idiosyncratic_volatility : (N,), per square root of a year, >= 0.
    seed : 0 to 2**64 - 1; with the step and the instrument's number it decides every draw.
    factor_drifts, factor_covariance : (K,) and (K, K), per year; the covariance is positive semi-definite;
        rounding errors in its symmetry are repaired. With them E[S_t] = S_0 e^{μt}; without them the
        increments are taken as a given path, and E[S_t | F] = S_0 e^{μt + β·F_t}.
    scheme : "euler", on log prices with full truncation of the variance: the fastest, but biased for long steps; or
        "qe", Andersen's quadratic-exponential scheme with martingale correction: accurate up to steps of weeks.
    substeps : how many substeps of dt / substeps each step has; the factors move the price in the first of them.
    threads : the largest number of threads; None: one for each core that the process may use, if there is enough work.
        The bits do not depend on it.
    out : float64 arrays (prices, variances) to fill, each (T+1, N). An error leaves them unchanged. For that,
        their old values are kept as long as a later step may fail, which costs memory of their size and about a tenth
        of the time. A bound on all possible draws, from the current state, decides whether a step may fail: some
        thousand steps of a second cannot, a hundred of a day may. Once nothing can fail, Ctrl-C leaves them partly
        filled.

    Returns
    -------
    (prices, variances), float64 (T+1, N) each; row 0 is the start. Euler's variance is the scheme's own, which
    may dip below zero; the volatility in force is √max(v, 0).

    Raises
    ------
    MarketWarning, a warning : kappa dt is above 1 for "euler". ValueError : names the argument, the index and the
        allowed range. SimulationError : a price left the range of 1e-100
        to 1e100, or a variance is not finite; names the earliest such step and its lowest instrument. SettingsError :
        PSEUDOFEED_ISA names no instruction set of this machine.

    Lord, Koekkoek and van Dijk, "A comparison of biased simulation schemes for stochastic volatility models",
    Quantitative Finance 10(2), 2010. Andersen, "Simple and efficient simulation of the Heston stochastic volatility
    model", Journal of Computational Finance 11(3), 2008.
    """
    check_labels(
        "instruments",
        ("initial_prices", initial_prices, 0),
        ("initial_variances", initial_variances, 0),
        ("drift", drift, 0),
        ("kappa", kappa, 0),
        ("theta", theta, 0),
        ("xi", xi, 0),
        ("rho", rho, 0),
        ("idiosyncratic_volatility", idiosyncratic_volatility, 0),
        # If all instruments have the same loadings, their only axis is the factors'.
        *([("factor_loadings", factor_loadings, 0)] if np.ndim(factor_loadings) == 2 else []),
    )
    check_labels(
        "factors",
        ("factor_increments", factor_increments, 1),
        ("factor_loadings", factor_loadings, np.ndim(factor_loadings) - 1),
        ("factor_drifts", factor_drifts, 0),
        ("factor_covariance", factor_covariance, 0),
        ("factor_covariance", factor_covariance, 1),
    )
    increments = np.asarray(factor_increments, dtype=np.float64)
    if increments.ndim != 2:
        raise ValueError(f"factor_increments: shape {increments.shape}, expected (steps, factors)")
    steps, factors = increments.shape
    if steps == 0:
        raise ValueError("factor_increments: no steps; expected (steps, factors) with steps >= 1")
    increments = array("factor_increments", increments, (steps, factors))
    loadings = np.asarray(factor_loadings, dtype=np.float64)
    vectors = (initial_prices, initial_variances, drift, kappa, theta, xi, rho, idiosyncratic_volatility)
    sizes = [np.shape(vector)[0] for vector in vectors if np.ndim(vector)]
    count = max([*sizes, loadings.shape[0] if loadings.ndim == 2 else 1])
    if loadings.ndim == 1 and loadings.shape == (factors,):
        loadings = np.broadcast_to(loadings, (count, factors))
    dt = year_fraction(dt)
    threads = thread_count(threads)
    drifts = array("factor_drifts", 0.0 if factor_drifts is None else factor_drifts, (factors,))
    covariance = _covariance(0.0 if factor_covariance is None else factor_covariance, factors)
    state = np.stack(
        [
            array("initial_prices", initial_prices, (count,), low=_simulate.LOWEST_PRICE, high=_simulate.HIGHEST_PRICE),
            array("initial_variances", initial_variances, (count,), low=0.0),
        ]
    )
    rates = array("kappa", kappa, (count,), low=0.0)
    model = _simulate.Heston(
        ids=np.arange(count, dtype=np.uint32),
        drift=array("drift", drift, (count,)),
        kappa=rates,
        theta=array("theta", theta, (count,), low=0.0),
        xi=array("xi", xi, (count,), low=0.0),
        rho=array("rho", rho, (count,), low=-1.0, high=1.0),
        idiosyncratic_volatility=array("idiosyncratic_volatility", idiosyncratic_volatility, (count,), low=0.0),
        factor_loadings=array("factor_loadings", loadings, (count, factors)),
        factor_covariance=covariance,
        key=integer("seed", seed, low=0, high=2**64 - 1),
        scheme=_scheme(scheme),
        substeps=integer("substeps", substeps, low=1, high=MOST_SUBSTEPS),
    )
    prices, variances = outputs(out, (steps + 1, count))
    worst = int(rates.argmax())
    note = SCHEMES[scheme].coarse(float(rates[worst]) * dt / substeps, f"instrument {worst}")
    if note is not None:
        warnings.warn(MarketWarning(f"scheme: {note}"), stacklevel=2)
    run = _Run(model, dt, _shocks(increments, drifts, dt), state, threads)
    if out is None:
        prices[0], variances[0] = state
        run.walk(prices[1:], variances[1:])
    else:
        run.walk_into(prices, variances)
    return prices, variances


@_random.default_floating_point
def _shocks(increments: Floats, drifts: Floats, dt: float) -> Floats:
    """The factors' increments less their drift, (T, K)."""
    return np.ascontiguousarray(increments - drifts * dt)


class _Run:
    """A simulation of T steps of `dt` years with these shocks (T, K), from a state (2, N) on."""

    def __init__(self, model: _simulate.Heston, dt: float, shocks: Floats, state: Floats, threads: int) -> None:
        self.model, self.dt, self.shocks, self.state, self.threads = model, dt, shocks, state, threads
        self.step = 0

    def walk(
        self, prices: Floats, variances: Floats, old_prices: Floats | None = None, old_variances: Floats | None = None
    ) -> None:
        """Fill the next rows. If arrays for the old values are given, save these there, and restore them after an
        error."""
        rows = slice(self.step, self.step + len(prices))
        self.model.walk(
            self.step + 1,
            np.broadcast_to(self.dt, len(prices)),
            self.shocks[rows],
            self.state,
            prices,
            variances,
            old_prices=old_prices,
            old_variances=old_variances,
            threads=self.threads,
        )
        self.step = rows.stop

    def walk_into(self, prices: Floats, variances: Floats) -> None:
        """Fill the caller's arrays, (T+1, N). As long as a later step may fail, keep their old values, and restore them
        after an error."""
        steps, start = len(self.shocks), self.state.copy()
        old: Floats | None = None
        try:
            while self.step < steps and self._may_fail():
                # Pages of a new array cost nothing until they are used.
                old = np.empty((2, *prices.shape)) if old is None else old
                most = max(steps // 32, _LEAST_TICKS // prices.shape[1], 1)
                rows = slice(self.step + 1, min(self.step + most, steps) + 1)
                self.walk(prices[rows], variances[rows], old[0, rows], old[1, rows])
        except BaseException:
            if old is not None:
                done = slice(1, self.step + 1)
                prices[done], variances[done] = old[0, done], old[1, done]
            raise
        prices[0], variances[0] = start
        self.walk(prices[self.step + 1 :], variances[self.step + 1 :])

    def _may_fail(self) -> bool:
        left = self.shocks[self.step :]
        return self.model.may_fail(len(left), self.dt, np.abs(left).sum(axis=0), self.state)


def _covariance(given: ArrayLike, factors: int) -> Floats:
    covariance = array("factor_covariance", given, (factors, factors))
    check_form("factor_covariance", covariance, unit_diagonal=False)
    covariance = repaired(covariance, unit_diagonal=False)
    try:
        covariance_root(covariance)
    except ValueError as error:
        raise ValueError(f"factor_covariance is {error}") from None
    return covariance


def _scheme(scheme: str) -> str:
    if scheme not in SCHEMES:
        raise ValueError(f"scheme is {scheme!r}; allowed are {', '.join(map(repr, SCHEMES))}")
    return scheme
