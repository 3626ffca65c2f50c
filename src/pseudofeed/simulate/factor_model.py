"""Correlated factor returns: Gaussian increments through the Cholesky factor of their covariance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import Floats, array, integer, output, year_fraction

__all__ = ["FactorModel", "simulate_factor_returns"]


class FactorModel:
    """K factors with all that is constant over a run derived once.

    volatilities (K,): per square root of a year, >= 0. correlations (K, K): symmetric, unit diagonal, positive
    semi-definite (a
    rank-deficient matrix is fine). drifts (K,): per year. dt: years.

    Raises ValueError naming the argument and the index; for a matrix that is not positive semi-definite, with its
    smallest eigenvalue.
    """

    def __init__(
        self, volatilities: ArrayLike, correlations: ArrayLike, *, dt: float, seed: int, drifts: ArrayLike | None = None
    ) -> None:
        count = np.asarray(volatilities).size
        self.dt = year_fraction(dt)
        self.seed = integer("seed", seed, low=0, high=2**64 - 1)
        self.volatilities = array("volatilities", volatilities, (count,), low=0.0)
        self.correlations = array("correlations", correlations, (count, count), low=-1.0, high=1.0)
        self.drifts = array("drifts", 0.0 if drifts is None else drifts, (count,))
        _check_correlations(self.correlations)
        # Element by element, never by BLAS: these bits decide every tick's.
        self.covariance = np.ascontiguousarray(
            self.volatilities[:, None] * self.correlations * self.volatilities[None, :]
        )
        self.lower = _simulate.cholesky(self.covariance)
        self._drift_dt = self.drifts * self.dt
        self._sqrt_dt = math.sqrt(self.dt)

    def paths(self, first_step: int, levels: Floats, increments_out: Floats, levels_out: Floats) -> None:
        """Fill increments and levels, (T, K) each, from first_step; `levels` (K,) is the state before, moved on
        to that after."""
        _simulate.factor_paths(
            self.lower, self._drift_dt, self._sqrt_dt, self.seed, first_step, levels, increments_out, levels_out
        )

    def shocks(self, increments: Floats) -> Floats:
        """The increments less their drift, (T, K): what instruments load on."""
        return np.ascontiguousarray(increments - self._drift_dt)


def simulate_factor_returns(
    steps: int,
    volatilities: ArrayLike,
    correlations: ArrayLike,
    *,
    dt: float,
    seed: int,
    drifts: ArrayLike | None = None,
    out: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Simulate dF = μ dt + L z √dt with L L' = diag(σ) C diag(σ), for the steps 1 to `steps`.

    Parameters
    ----------
    steps : T >= 1.
    volatilities : (K,), per square root of a year, >= 0.
    correlations : (K, K), symmetric with unit diagonal, positive semi-definite.
    dt : the length of a step in years.
    seed : 0 to 2**64 - 1; with the step and the factor's number it decides every draw.
    drifts : (K,), per year; zeros where not given.
    out : float64 arrays (increments, levels) to fill, each (T, K).

    Returns
    -------
    (increments, levels), float64 (T, K) each; levels are the running sums of the increments, from 0.

    Raises
    ------
    ValueError : names the argument, the index and the allowed range.
    """
    steps = integer("steps", steps, low=1)
    model = FactorModel(volatilities, correlations, dt=dt, seed=seed, drifts=drifts)
    shape = (steps, len(model.volatilities))
    increments = output("out[0]", None if out is None else out[0], shape)
    levels = output("out[1]", None if out is None else out[1], shape)
    model.paths(1, np.zeros(shape[1]), increments, levels)
    return increments, levels


def _check_correlations(correlations: Floats) -> None:
    asymmetric = np.argwhere(correlations != correlations.T)
    if len(asymmetric):
        i, j = (int(k) for k in asymmetric[0])
        raise ValueError(
            f"correlations[{i}, {j}] is {correlations[i, j]:g} but correlations[{j}, {i}] is {correlations[j, i]:g}"
        )
    diagonal = np.flatnonzero(np.diagonal(correlations) != 1.0)
    if len(diagonal):
        i = int(diagonal[0])
        raise ValueError(f"correlations[{i}, {i}] is {correlations[i, i]:g}; the diagonal must be 1")
    if len(correlations):
        smallest = float(np.linalg.eigvalsh(correlations)[0])
        if smallest < -1e-12 * len(correlations):
            raise ValueError(f"correlations is not positive semi-definite: its smallest eigenvalue is {smallest:g}")
