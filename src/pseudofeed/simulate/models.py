"""The models that simulate a market's instruments, by the name of the scheme."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pseudofeed.errors import SimulationError
from pseudofeed.simulate import _simulate
from pseudofeed.simulate.factor_model import FactorModel

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["MODELS", "FactorSteps", "Model", "Stopping", "make_model"]

# The native core knows instruments by their numbers only.
_NUMBER = re.compile(r"^instrument (\d+)\b")

Floats = NDArray[np.float64]
Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True, eq=False)
class FactorSteps:
    """T steps of K factors, in the form that instruments need.

    dt (T,): each step's length in years. nights (T,): 1 where a night precedes the step, None where a night has no
    variance; night_dt: a night's length in years. increments, levels (T, K); shocks (T, K), night_shocks (nights, K):
    the increments in trading, and in each night, less their drift.
    """

    first_step: int
    dt: Floats
    nights: NDArray[np.uint8] | None
    night_dt: float
    increments: Floats
    levels: Floats
    shocks: Floats
    night_shocks: Floats | None


class Model(Protocol):
    """M instruments of a market and a scheme."""

    def first_state(self) -> Floats:
        """The state before step 1, (2 + hidden, M): price, variance, and the scheme's hidden numbers in its order."""
        ...

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
        """Move `state` on through the steps. prices, variances: (T, M) to fill with those after each step; None where
        they are not wanted. stopping: asked every 50 ms; where it says so, WalkStopped is raised and `state` is as it
        was."""
        ...


class _NativeModel:
    """Heston by a native kernel (csrc/simulate). It has no hidden numbers."""

    def __init__(self, market: Market, instruments: NDArray[np.uint32], factors: FactorModel) -> None:
        parameters = market.instruments
        self._symbols = market.symbols
        self._first = np.stack([parameters.initial_price[instruments], parameters.initial_variance[instruments]])
        self._heston = _simulate.Heston(
            ids=instruments,
            drift=parameters.drift[instruments],
            kappa=parameters.kappa[instruments],
            theta=parameters.theta[instruments],
            xi=parameters.xi[instruments],
            rho=parameters.rho[instruments],
            idiosyncratic_volatility=parameters.idiosyncratic_volatility[instruments],
            factor_loadings=np.ascontiguousarray(parameters.factor_loadings[instruments]),
            factor_covariance=factors.covariance,
            key=market.key,
            scheme=market.simulation.scheme,
            substeps=market.simulation.substeps,
        )

    def first_state(self) -> Floats:
        return self._first.copy()

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
        try:
            self._heston.walk(
                steps.first_step,
                steps.dt,
                steps.shocks,
                state,
                prices,
                variances,
                nights=steps.nights,
                night_dt=steps.night_dt,
                night_shocks=steps.night_shocks,
                threads=threads,
                stopping=stopping,
            )
        except SimulationError as problem:
            raise SimulationError(_NUMBER.sub(self._named, str(problem))) from None

    def _named(self, number: re.Match[str]) -> str:
        return f"instrument {self._symbols[int(number[1])]}"


Maker = Callable[["Market", NDArray[np.uint32], FactorModel], Model]

MODELS: dict[str, Maker] = {"euler": _NativeModel, "qe": _NativeModel}


def make_model(market: Market, instruments: NDArray[np.uint32], factors: FactorModel) -> Model:
    """The model of some of a market's instruments, by ascending numbers (M,)."""
    return MODELS[market.simulation.scheme](market, instruments, factors)
