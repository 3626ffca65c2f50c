"""A scheme for tests that keeps a number of each instrument which no tick shows: a momentum that moves its price."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market import Market
from pseudofeed.market.schemes import SCHEMES, Scheme
from pseudofeed.simulate.factor_model import FactorModel
from pseudofeed.simulate.models import MODELS, FactorSteps, Stopping

__all__ = ["NAME", "with_momentum"]

Floats = NDArray[np.float64]

NAME = "momentum"


class _Momentum:
    """A price moves by its momentum and the first factor's shock; its momentum by the price's move. One instrument does
    not depend on the others, as it must be."""

    def __init__(self, market: Market, instruments: NDArray[np.uint32], _factors: FactorModel) -> None:
        parameters = market.instruments
        self._price = parameters.initial_price[instruments]
        self._variance = parameters.initial_variance[instruments]
        self._loading = parameters.factor_loadings[instruments, 0]

    def first_state(self) -> Floats:
        return np.stack([self._price, self._variance, 0.001 * self._loading])

    def walk(
        self,
        steps: FactorSteps,
        state: Floats,
        prices: Floats | None,
        variances: Floats | None,
        *,
        threads: int,
        stopping: Stopping | None,
    ) -> None:
        del threads, stopping
        price, variance, momentum = state
        for row, shock in enumerate(steps.shocks[:, 0]):
            move = momentum + self._loading * shock
            price *= 1.0 + move
            momentum *= 0.5
            momentum += 0.25 * move
            variance += 1e-6
            if prices is not None and variances is not None:
                prices[row], variances[row] = price, variance


@contextmanager
def with_momentum() -> Iterator[str]:
    """Within it, markets may have the scheme of the name that this gives."""
    SCHEMES[NAME] = Scheme(NAME, least_variance=0.0, most_reversion=None, hidden=("momentum",))
    MODELS[NAME] = _Momentum
    try:
        yield NAME
    finally:
        del SCHEMES[NAME], MODELS[NAME]
