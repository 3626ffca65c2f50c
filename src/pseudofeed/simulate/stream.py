"""From a market to its ticks: `Market.stream` and `Market.simulate`.

A step depends on the one before, so a stream that starts in the middle first walks to its start without keeping what it
passes; or it is
given the state at the step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pseudofeed.errors import SimulationError
from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import array, integer, thread_count
from pseudofeed.simulate.factor_model import FactorModel
from pseudofeed.simulate.paths import MarketState, Paths, TickBlock

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["simulate", "stream", "stream_factors"]

# Ticks in a block: 1 MiB of prices and variances stays in the second-level cache on its way to the encoder.
_BLOCK_TICKS = 65_536

# Set in the counter's step, it marks the draws of the night before that step.
_NIGHT = 1 << 63


@dataclass(frozen=True, slots=True, eq=False)
class _FactorSteps:
    """T steps of K factors: shocks (T, K) are the increments in trading time less their drift; increments and levels
    (T, K). openings: rows that follow a night; nights (n, K): the increments in each."""

    shocks: NDArray[np.float64]
    increments: NDArray[np.float64]
    levels: NDArray[np.float64]
    openings: list[int]
    nights: NDArray[np.float64]


class _Factors:
    """A market's factors and the levels (K,) that they have reached at a step."""

    def __init__(self, market: Market, step: int, levels: NDArray[np.float64]) -> None:
        self.clock = market.clock
        self.model = _factor_model(market, self.clock.dt)
        # A night is one step of the scheme, however many substeps a step of trading has.
        self.night = _factor_model(market, self.clock.night_dt) if self.clock.night_dt else None
        self.step = step
        self.levels = array("state.factor_levels", levels, (len(market.factors.names),)).copy()

    def walk(self, steps: int) -> _FactorSteps:
        """Move on by `steps`."""
        increments = np.empty((steps, len(self.levels)))
        levels = np.empty_like(increments)
        before = self.levels.copy()
        self.model.paths(self.step + 1, self.levels, increments, levels)
        shocks = self.model.shocks(increments)
        openings: list[int] = []
        if self.night is not None:
            openings = np.flatnonzero(self.clock.gaps(self.step + 1, steps)).tolist()
        nights = np.empty((len(openings), len(self.levels)))
        for number, opening in enumerate(openings):
            assert self.night is not None
            night = nights[number : number + 1]
            self.night.paths(
                (self.step + 1 + opening) | _NIGHT, np.zeros_like(self.levels), night, np.empty_like(night)
            )
            increments[opening] += night[0]
        if openings:  # a first step after a night has both increments
            levels = np.cumsum(np.vstack([before, increments]), axis=0)[1:]
            self.levels = levels[-1].copy()
        self.step += steps
        return _FactorSteps(shocks, increments, levels, openings, nights)


class _Run:
    """A market's models and the state they have reached."""

    def __init__(
        self, market: Market, instruments: NDArray[np.uint32], state: MarketState | None, threads: int
    ) -> None:
        self.threads = threads
        parameters, factors = market.instruments, market.factors
        if state is None:
            state = MarketState(
                0,
                parameters.initial_price[instruments],
                parameters.initial_variance[instruments],
                np.zeros(len(factors.names)),
            )
        elif state.prices.shape != instruments.shape or state.factor_levels.shape != (len(factors.names),):
            raise ValueError(
                f"state: of {len(state.prices)} instruments and {len(state.factor_levels)} factors, "
                f"expected {len(instruments)} and {len(factors.names)}"
            )
        self.factors = _Factors(market, state.step, state.factor_levels)
        self.heston = _heston(market, instruments, self.factors.model, market.simulation.substeps)
        night = self.factors.night
        self.night = None if night is None else _heston(market, instruments, night, 1)
        shape = instruments.shape
        least = 0.0 if market.simulation.scheme == "qe" else -np.inf
        self.prices = array("state.prices", state.prices, shape, low=np.finfo(np.float64).tiny).copy()
        self.variances = array("state.variances", state.variances, shape, low=least).copy()

    @property
    def step(self) -> int:
        return self.factors.step

    def walk(
        self, steps: int, prices: NDArray[np.float64] | None, variances: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move on by `steps`, keeping prices and variances where given; the factors' increments and levels,
        (steps, K)."""
        first_step = self.step + 1
        factors = self.factors.walk(steps)
        for number, (begin, end) in enumerate(pairwise([0, *factors.openings, steps])):
            if number > 0:
                self._walk_night(first_step + begin, factors.nights[number - 1 : number])
            if begin == end:
                continue
            rows = slice(begin, end)
            self.heston.walk(
                first_step + begin,
                factors.shocks[rows],
                self.prices,
                self.variances,
                None if prices is None else prices[rows],
                None if variances is None else variances[rows],
                threads=self.threads,
            )
        return factors.increments, factors.levels

    def _walk_night(self, step: int, increments: NDArray[np.float64]) -> None:
        """Move prices and variances through the night before `step`, in which the factors have moved by `increments`,
        (1, K)."""
        assert self.night is not None
        assert self.factors.night is not None
        shocks = self.factors.night.shocks(increments)
        try:
            self.night.walk(step | _NIGHT, shocks, self.prices, self.variances, threads=self.threads)
        except SimulationError as problem:
            text = str(problem).replace(f"at step {step | _NIGHT}", f"in the night before step {step}")
            raise SimulationError(text) from None


def _factor_model(market: Market, dt: float) -> FactorModel:
    """The market's factors for steps of `dt` years."""
    factors = market.factors
    return FactorModel(factors.volatilities, factors.correlations, dt=dt, seed=market.key, drifts=factors.drifts)


def _heston(market: Market, instruments: NDArray[np.uint32], factors: FactorModel, substeps: int) -> _simulate.Heston:
    """The market's instruments for the steps of these factors."""
    parameters = market.instruments
    return _simulate.Heston(
        ids=instruments,
        drift=parameters.drift[instruments],
        kappa=parameters.kappa[instruments],
        theta=parameters.theta[instruments],
        xi=parameters.xi[instruments],
        rho=parameters.rho[instruments],
        idiosyncratic_volatility=parameters.idiosyncratic_volatility[instruments],
        factor_loadings=np.ascontiguousarray(parameters.factor_loadings[instruments]),
        factor_covariance=factors.covariance,
        dt=factors.dt,
        seed=market.key,
        scheme=market.simulation.scheme,
        substeps=substeps,
    )


def stream(
    market: Market,
    *,
    start_step: int = 1,
    steps: int | None = None,
    block_steps: int | None = None,
    instruments: ArrayLike | None = None,
    state: MarketState | None = None,
    threads: int | None = None,
) -> Iterator[TickBlock]:
    """The ticks of `market` from `start_step` on, block after block, with memory for one block; see `Market.stream`."""
    start_step = integer("start_step", start_step, low=1)
    if steps is not None:
        steps = integer("steps", steps, low=0)
    elif market.last_step is not None:
        steps = max(0, market.last_step - start_step + 1)
    if steps:
        market.clock.times(start_step + steps - 1, 1)  # beyond the market's end or its timetable: said before walking
    numbers = _numbers(market, instruments)
    if block_steps is None:
        block_steps = max(1, _BLOCK_TICKS // len(numbers))
    block_steps = integer("block_steps", block_steps, low=1)
    if state is not None and state.step >= start_step:
        raise ValueError(f"state: of step {state.step}, expected one before start_step {start_step}")
    return _blocks(market, _Run(market, numbers, state, thread_count(threads)), start_step, steps, block_steps)


def _blocks(market: Market, run: _Run, start_step: int, steps: int | None, block_steps: int) -> Iterator[TickBlock]:
    while run.step < start_step - 1:
        run.walk(min(block_steps, start_step - 1 - run.step), None, None)
    end = None if steps is None else start_step - 1 + steps
    while end is None or run.step < end:
        count = block_steps if end is None else min(block_steps, end - run.step)
        first_step = run.step + 1
        prices = np.empty((count, len(run.prices)))
        variances = np.empty_like(prices)
        increments, levels = run.walk(count, prices, variances)
        yield TickBlock(first_step, market.clock.times(first_step, count), prices, variances, increments, levels)


def stream_factors(
    market: Market, *, start_step: int, steps: int, block_steps: int, levels: NDArray[np.float64]
) -> Iterator[TickBlock]:
    """The factors alone, in blocks without instruments: the steps from `start_step` on, from the levels (K,) that they
    had before it."""
    factors = _Factors(market, start_step - 1, levels)
    end = start_step - 1 + steps
    while factors.step < end:
        first_step, count = factors.step + 1, min(block_steps, end - factors.step)
        none = np.empty((count, 0))
        walked = factors.walk(count)
        yield TickBlock(first_step, market.clock.times(first_step, count), none, none, walked.increments, walked.levels)


def simulate(market: Market, steps: int | None, *, threads: int | None = None) -> Paths:
    """The whole run of `steps` steps in memory; see `Market.simulate`."""
    if steps is None:
        steps = market.last_step
        if steps is None:
            raise ValueError("steps: is missing; only a market with an end (clock.end) may be simulated without")
    steps = integer("steps", steps, low=1)
    time = market.clock.times(0, steps + 1)
    run = _Run(market, _numbers(market, None), None, thread_count(threads))
    shape = (steps + 1, len(run.prices))
    try:
        prices, variances = np.empty(shape), np.empty(shape)
    except (MemoryError, ValueError):
        raise ValueError(
            f"steps is {steps}: {shape[0]} x {shape[1]} prices do not fit in memory; use Market.stream"
        ) from None
    prices[0], variances[0] = run.prices, run.variances
    increments, levels = run.walk(steps, prices[1:], variances[1:])
    return Paths(
        symbols=market.symbols,
        factor_names=market.factors.names,
        time=time,
        prices=prices,
        variances=variances,
        factor_increments=increments,
        factor_levels=np.vstack([np.zeros((1, levels.shape[1])), levels]),
    )


def _numbers(market: Market, instruments: ArrayLike | None) -> NDArray[np.uint32]:
    count = len(market.symbols)
    if instruments is None:
        return np.arange(count, dtype=np.uint32)
    given = np.asarray(instruments)
    if given.ndim != 1 or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError("instruments: expected a list of instrument numbers, at least one")
    if given.min() < 0 or given.max() >= count or (np.diff(given) <= 0).any():
        raise ValueError(f"instruments: expected ascending numbers from 0 to {count - 1}")
    return given.astype(np.uint32)
