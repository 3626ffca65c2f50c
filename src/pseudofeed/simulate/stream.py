"""From a market to its ticks: `Market.stream` and `Market.simulate`.

A step depends on the one before, so a stream that starts in the middle first walks to its start without keeping what it
passes; or it is given the state at the step before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pseudofeed.errors import WalkStopped
from pseudofeed.market.schemes import SCHEMES, Scheme
from pseudofeed.random import _random
from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import array, integer, thread_count
from pseudofeed.simulate.factor_model import FactorModel
from pseudofeed.simulate.models import FactorSteps, Stopping, make_model
from pseudofeed.simulate.paths import Paths, TickBlock
from pseudofeed.simulate.state import FACTOR_LEVEL, PRICE, VARIANCE, MarketState

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["advance", "simulate", "stream", "stream_factors"]

# Ticks in a block for each thread, so that each has enough to do: 1 MiB of prices and variances stays in its
# second-level cache on its way to the encoder. Beyond 16 threads a block grows no more; it keeps 64 of them busy.
_BLOCK_TICKS, _MOST_SHARES = 65_536, 16

# What is walked through at once where nothing is kept: so many substeps of an instrument, 0.1 to 0.3 s. A factor counts
# for some, so that the arrays of the factors stay below 100 MB (24 bytes a factor and step, 24 a step).
_WALK_SUBSTEPS = 10_000_000
_SUBSTEPS_OF_FACTOR = 4


class _Factors:
    """A market's factors and the levels (K,) that they have reached at a step."""

    def __init__(
        self, market: Market, step: int, levels: NDArray[np.float64], stopping: Stopping | None = None
    ) -> None:
        factors = market.factors
        self.clock = market.clock
        self.model = FactorModel(factors.volatilities, factors.correlations, key=market.key, drifts=factors.drifts)
        self.step = step
        self.stopping = stopping
        self.levels = array("state.factor_level", levels, (len(factors.names),)).copy()

    def walk(self, steps: int) -> FactorSteps:
        """Move on by `steps`."""
        first_step = self.step + 1
        nights = night_shocks = None
        if self.clock.night_dt:
            nights = self.clock.gaps(first_step, steps).view(np.uint8)
            night_shocks = np.empty((int(nights.sum()), len(self.levels)))
        increments, levels, shocks = (np.empty((steps, len(self.levels))) for _ in range(3))
        walked = FactorSteps(
            first_step,
            self.clock.step_years(first_step, steps),
            nights,
            self.clock.night_dt,
            increments,
            levels,
            shocks,
            night_shocks,
        )
        _simulate.walk_factors(
            self.model.root,
            self.model.drifts,
            self.model.key,
            first_step,
            walked.dt,
            self.levels,
            increments,
            levels,
            shocks,
            night_shocks,
            nights=nights,
            night_dt=self.clock.night_dt,
            stopping=self.stopping,
        )
        self.step += steps
        return walked


class _Run:
    """Some instruments of a market, and the state that they have reached."""

    @_random.default_floating_point
    def __init__(
        self,
        market: Market,
        instruments: NDArray[np.uint32],
        state: MarketState | None,
        threads: int,
        stopping: Stopping | None = None,
    ) -> None:
        self.threads, self.stopping = threads, stopping
        scheme = SCHEMES[market.simulation.scheme]
        self._hidden = scheme.hidden
        levels = np.zeros(len(market.factors.names)) if state is None else _state_array(state, FACTOR_LEVEL)
        self.factors = _Factors(market, 0 if state is None else state.step, levels, stopping)
        self.model = make_model(market, instruments, self.factors.model)
        # (2 + hidden, M): prices, variances, hidden numbers
        self.state = self.model.first_state() if state is None else _checked(state, scheme, instruments.shape)

    @property
    def step(self) -> int:
        return self.factors.step

    @_random.default_floating_point
    def walk(
        self, steps: int, prices: NDArray[np.float64] | None, variances: NDArray[np.float64] | None
    ) -> FactorSteps:
        """Move on by `steps`, keeping prices and variances where given; what the factors did. After an exception the
        run is of no use any more."""
        factors = self.factors.walk(steps)
        self.model.walk(factors, self.state, prices, variances, threads=self.threads, stopping=self.stopping)
        return factors

    def walk_to(self, step: int, block_steps: int) -> None:
        """Move on to a step without keeping anything."""
        while self.step < step:
            self.walk(min(block_steps, step - self.step), None, None)

    @property
    def hidden(self) -> dict[str, NDArray[np.float64]]:
        """Copies of the hidden numbers, (M,) each."""
        if not self._hidden:
            return {}
        return {name: row.copy() for name, row in zip(self._hidden, self.state[2:], strict=True)}

    def market_state(self) -> MarketState:
        """A copy of the whole state."""
        price, variance = self.state[:2].copy()
        arrays = {PRICE: price, VARIANCE: variance, **self.hidden, FACTOR_LEVEL: self.factors.levels.copy()}
        return MarketState(self.step, arrays)


def _checked(state: MarketState, scheme: Scheme, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The rows of a given state; ValueError names the array that can't be gone on from."""
    lowest, highest = _simulate.LOWEST_PRICE, _simulate.HIGHEST_PRICE
    rows = [
        array("state.price", _state_array(state, PRICE), shape, low=lowest, high=highest),
        array("state.variance", _state_array(state, VARIANCE), shape, low=scheme.least_variance),
    ]
    rows += [array(f"state.{name}", _state_array(state, name), shape) for name in scheme.hidden]
    return np.stack(rows)


def _state_array(state: MarketState, name: str) -> NDArray[np.float64]:
    if name not in state.arrays:
        raise ValueError(f"state: it has no array {name!r}; it has {', '.join(map(repr, state.arrays))}")
    return state.arrays[name]


def stream(
    market: Market,
    *,
    start_step: int = 1,
    steps: int | None = None,
    block_steps: int | None = None,
    instruments: ArrayLike | None = None,
    state: MarketState | None = None,
    threads: int | None = None,
    stopping: Stopping | None = None,
) -> Iterator[TickBlock]:
    """The ticks of `market` from `start_step` on, block after block, with memory for one block; see `Market.stream`.

    stopping: asked every 50 ms while a block is made; where it says so, the stream ends before that block. It may be
    told from another thread than the one that walks.
    """
    start_step = integer("start_step", start_step, low=1)
    if steps is not None:
        steps = integer("steps", steps, low=0)
    elif market.last_step is not None:
        steps = max(0, market.last_step - start_step + 1)
    if steps != 0:
        # Beyond the market's end, its timetable or 64-bit time: said before walking.
        market.clock.times(start_step + (steps or 1) - 1, 1)
    numbers = _numbers(market, instruments)
    threads = thread_count(threads)
    if block_steps is None:
        block_steps = _block_steps(len(numbers), threads)
    block_steps = integer("block_steps", block_steps, low=1)
    if state is not None and state.step >= start_step:
        raise ValueError(f"state: of step {state.step}, expected one before start_step {start_step}")
    return _blocks(market, _Run(market, numbers, state, threads, stopping), start_step, steps, block_steps)


def _block_steps(instruments: int, threads: int) -> int:
    return max(1, min(threads, _MOST_SHARES) * _BLOCK_TICKS // instruments)


def _blocks(market: Market, run: _Run, start_step: int, steps: int | None, block_steps: int) -> Iterator[TickBlock]:
    if steps == 0:
        return
    end = None if steps is None else start_step - 1 + steps
    # Where the timetable ends, its last step is the last of a block; behind it the clock raises.
    known = market.clock.last_known_step if end is None else end
    with contextlib.suppress(WalkStopped):
        run.walk_to(start_step - 1, block_steps)
        while end is None or run.step < end:
            first_step = run.step + 1
            count = min(block_steps, max(known, first_step) - run.step)
            prices = np.empty((count, run.state.shape[1]))
            variances = np.empty_like(prices)
            walked = run.walk(count, prices, variances)
            time = market.clock.times(first_step, count)
            yield TickBlock(first_step, time, prices, variances, walked.increments, walked.levels, run.hidden)


def advance(
    market: Market,
    state: MarketState | None,
    step: int,
    *,
    threads: int | None = None,
    going_on: Callable[[int], bool] = lambda _step: True,
) -> MarketState:
    """The whole market's state after `step`, from an earlier one, or from the start where that is None. Nothing between
    them is kept. going_on: called every 50 ms or so with a step that was passed; where it says no, the state of a step
    that was reached is returned. Raises as `stream` does."""
    run = _Run(market, _numbers(market, None), state, thread_count(threads), lambda: not going_on(run.step))
    work = len(market.symbols) * market.simulation.substeps + _SUBSTEPS_OF_FACTOR * len(market.factors.names)
    hop = max(1, _WALK_SUBSTEPS // work)
    reached = run.market_state()
    with contextlib.suppress(WalkStopped):
        while run.step < step and going_on(run.step):
            run.walk_to(min(step, run.step + hop), hop)
            reached = run.market_state()
    return reached


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
    market.clock.times(steps, 1)  # beyond the market's end or its timetable: said before anything is made
    run = _Run(market, _numbers(market, None), None, thread_count(threads))
    shape = (steps + 1, run.state.shape[1])
    try:
        prices, variances = np.empty(shape), np.empty(shape)
    except (MemoryError, ValueError):
        raise ValueError(
            f"steps is {steps}: {shape[0]} x {shape[1]} prices do not fit in memory; use Market.stream"
        ) from None
    prices[0], variances[0] = run.state[:2]
    walked = run.walk(steps, prices[1:], variances[1:])
    return Paths(
        symbols=market.symbols,
        factor_names=market.factors.names,
        time=market.clock.times(0, steps + 1),
        prices=prices,
        variances=variances,
        factor_increments=walked.increments,
        factor_levels=np.vstack([np.zeros((1, walked.levels.shape[1])), walked.levels]),
        grain_ns=market.clock.grain_ns,
    )


def _numbers(market: Market, instruments: ArrayLike | None) -> NDArray[np.uint32]:
    count = len(market.symbols)
    if instruments is None:
        return np.arange(count, dtype=np.uint32)
    given = np.asarray(instruments)
    if given.ndim != 1 or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError("instruments: expected a list of instrument numbers, at least one")
    if given.min() < 0 or given.max() >= count or (given[1:] <= given[:-1]).any():
        raise ValueError(f"instruments: expected ascending numbers from 0 to {count - 1}")
    return given.astype(np.uint32)
