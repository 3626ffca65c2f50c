"""Correlation matrices: rounding errors are repaired, and one criterion decides which matrices are possible.

The criterion is that the native Cholesky decomposition finds a root of the covariance. The market file, the array
functions and the simulation all use `covariance_root`, so a matrix that loads can also be simulated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pseudofeed.random import _random

__all__ = ["ROUNDING", "check_form", "covariance_root", "factor_covariance", "repaired"]

ROUNDING = 1e-9
"""How far an entry may be from its mirror image, the diagonal from 1, and an entry beyond -1 or 1: room for what
computing in doubles (np.corrcoef, D C D) or typing ten digits leaves, and far below what an estimate can mean."""

Floats = NDArray[np.float64]


def check_form(name: str, matrix: Floats, *, unit_diagonal: bool) -> None:
    """Raises ValueError, which names the entry, where a matrix (K, K) is not symmetric, or its diagonal not 1, by more
    than rounding."""
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    off = np.argwhere(np.abs(matrix - matrix.T) > ROUNDING * scale[:, None] * scale)
    if len(off):
        i, j = (int(k) for k in off[0])
        raise ValueError(
            f"{name}[{i}, {j}] is {float(matrix[i, j])!r} but {name}[{j}, {i}] is {float(matrix[j, i])!r}; it must be "
            "symmetric"
        )
    if unit_diagonal:
        wrong = np.flatnonzero(np.abs(np.diagonal(matrix) - 1.0) > ROUNDING)
        if len(wrong):
            i = int(wrong[0])
            raise ValueError(f"{name}[{i}, {i}] is {float(matrix[i, i])!r}; the diagonal must be 1")


@_random.default_floating_point
def repaired(matrix: Floats, *, unit_diagonal: bool) -> Floats:
    """The matrix (K, K) without rounding errors: exactly symmetric, by the mean of each entry and its mirror image;
    correlations also have 1 on the diagonal and entries within [-1, 1]. A matrix without errors keeps its bits."""
    result = np.ascontiguousarray(0.5 * matrix + 0.5 * matrix.T)
    if unit_diagonal:
        np.clip(result, -1.0, 1.0, out=result)
        np.fill_diagonal(result, 1.0)
    return result


@_random.default_floating_point
def factor_covariance(volatilities: Floats, correlations: Floats) -> Floats:
    """diag(volatilities) C diag(volatilities), (K, K), element by element and never by BLAS: the bits of every
    tick depend on it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(volatilities[:, None] * correlations * volatilities[None, :])


def covariance_root(covariance: Floats) -> Floats:
    """R with R R' = covariance, (K, K). Raises ValueError "not positive semi-definite: between factors ..." if
    there is none."""
    try:
        return np.asarray(_random.cholesky(covariance), dtype=np.float64)
    except ValueError as problem:
        raise ValueError(f"not positive semi-definite: {str(problem).rpartition(': ')[2]}") from None
