"""Correlated factor returns: Gaussian increments through the Cholesky factor of their covariance.

The factor is computed by our own loops, because the bits of every tick depend on it. The nearest correlation matrix is
computed by LAPACK, whose bits differ between machines. So it is used only if a caller asks for it. A market file can't
ask for it; it contains the repaired matrix itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pseudofeed.market.correlations import ROUNDING, check_form, covariance_root, factor_covariance, repaired
from pseudofeed.random import _random
from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import Floats, array, check_labels, integer, outputs, year_fraction

__all__ = ["FactorModel", "nearest_correlation", "simulate_factor_returns"]


class FactorModel:
    """K factors, with all values precomputed that do not depend on a step's length.

    volatilities (K,): per square root of a year, >= 0. correlations (K, K): symmetric, unit diagonal, positive
    semi-definite (a rank-deficient matrix is fine); rounding errors are repaired. drifts (K,): per year. key:
    of the draws, 64 bits.

    Raises ValueError naming the argument and the index. For a matrix that is not positive semi-definite, it names the
    entry that shows this.
    """

    @_random.default_floating_point
    def __init__(
        self, volatilities: ArrayLike, correlations: ArrayLike, *, key: int, drifts: ArrayLike | None = None
    ) -> None:
        _check_labels(volatilities, correlations, drifts)
        count = np.asarray(volatilities).size
        self.key = key
        self.volatilities = array("volatilities", volatilities, (count,), low=0.0)
        self.correlations = _correlations(correlations, count)
        self.drifts = array("drifts", 0.0 if drifts is None else drifts, (count,))
        self.covariance = factor_covariance(self.volatilities, self.correlations)
        if not np.isfinite(self.covariance).all():
            largest = int(np.argmax(self.volatilities))
            raise ValueError(f"volatilities[{largest}] is {self.volatilities[largest]:g}: its square is no double")
        try:
            self.root = covariance_root(self.covariance)
        except ValueError as problem:
            raise ValueError(
                f"correlations is {problem}; nearest_correlation() gives the nearest matrix that is valid, and "
                "nearest=True uses it"
            ) from None


def simulate_factor_returns(
    steps: int,
    volatilities: ArrayLike,
    correlations: ArrayLike,
    *,
    dt: float,
    seed: int,
    drifts: ArrayLike | None = None,
    nearest: bool = False,
    out: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Simulate dF = μ dt + R z √dt with R R' = diag(σ) C diag(σ), for the steps 1 to `steps`.

    Parameters
    ----------
    steps : T >= 1.
    volatilities : (K,), per square root of a year, >= 0.
    correlations : (K, K), symmetric with unit diagonal, positive semi-definite.
    dt : the length of a step in years.
    seed : 0 to 2**64 - 1; with the step and the factor's number it decides every draw.
    drifts : (K,), per year; zeros by default.
    nearest : if the correlations are not positive semi-definite, use `nearest_correlation` of them instead of
        raising. Its last bits may differ between machines.
    out : float64 arrays (increments, levels) to fill, each (T, K). An error leaves them unchanged; Ctrl-C leaves them
        partly filled.

    Returns
    -------
    (increments, levels), float64 (T, K) each; levels are the running sums of the increments, from 0.

    Raises
    ------
    ValueError : names the argument, the index and the allowed range.
    """
    steps = integer("steps", steps, low=1)
    dt, key = year_fraction(dt), integer("seed", seed, low=0, high=2**64 - 1)
    if nearest:
        _check_labels(volatilities, correlations, drifts)  # which the nearest matrix no longer has
        correlations = nearest_correlation(correlations)
    model = FactorModel(volatilities, correlations, key=key, drifts=drifts)
    count = len(model.volatilities)
    increments, levels = outputs(out, (steps, count))
    _simulate.walk_factors(
        model.root, model.drifts, key, 1, np.broadcast_to(dt, steps), np.zeros(count), increments, levels
    )
    return increments, levels


def nearest_correlation(matrix: ArrayLike) -> Floats:
    """The correlation matrix nearest to `matrix` (K, K) in the Frobenius norm; `matrix` itself if it is one.

    `matrix` must be symmetric with unit diagonal and entries in [-1, 1], except for rounding errors, which are
    repaired. Correlations that are estimated pair by pair, or changed by hand, may need this. The result has no
    eigenvalue below about 1e-10, is symmetric, and has 1 on its diagonal, to the bit. Its last bits may differ between
    machines: for a market, write it into the market file.

    Raises ValueError naming the entry that no correlation matrix may have.

    N. J. Higham, "Computing the nearest correlation matrix: a problem from finance", IMA Journal of Numerical
    Analysis 22(3), 2002, algorithm 3.3: alternating projections with Dykstra's correction.
    """
    check_labels("factors", ("correlations", matrix, 0), ("correlations", matrix, 1))
    count = len(np.atleast_1d(np.asarray(matrix)))
    given = _correlations(matrix, count)
    try:
        covariance_root(given)
    except ValueError:
        pass
    else:
        return given
    nearest, correction = given.copy(), np.zeros_like(given)
    for _ in range(_MOST_PROJECTIONS):
        without = nearest - correction
        semidefinite = _raise_eigenvalues(without, 0.0)
        correction = semidefinite - without
        before, nearest = nearest, semidefinite.copy()
        np.fill_diagonal(nearest, 1.0)
        if np.abs(nearest - before).max() <= 1e-12:
            break
    # The limit is on the boundary. Stay a little inside, so that rounding does not cross it.
    inside = _raise_eigenvalues(nearest, 1e-10)
    scale = 1.0 / np.sqrt(np.diagonal(inside))
    result = np.clip(scale[:, None] * inside * scale[None, :], -1.0, 1.0)
    result = 0.5 * (result + result.T)
    np.fill_diagonal(result, 1.0)
    return np.ascontiguousarray(result)


_MOST_PROJECTIONS = 10_000  # it converges linearly: 20 to some hundred for typical matrices


def _raise_eigenvalues(matrix: Floats, least: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    raised = (vectors * np.maximum(values, least)) @ vectors.T
    return np.asarray(0.5 * (raised + raised.T), dtype=np.float64)


def _check_labels(volatilities: ArrayLike, correlations: ArrayLike, drifts: ArrayLike | None) -> None:
    check_labels(
        "factors",
        ("volatilities", volatilities, 0),
        ("correlations", correlations, 0),
        ("correlations", correlations, 1),
        ("drifts", drifts, 0),
    )


def _correlations(given: ArrayLike, count: int) -> Floats:
    """Correlations (count, count), repaired."""
    matrix = array("correlations", given, (count, count), low=-1 - ROUNDING, high=1 + ROUNDING)
    check_form("correlations", matrix, unit_diagonal=True)
    return repaired(matrix, unit_diagonal=True)
