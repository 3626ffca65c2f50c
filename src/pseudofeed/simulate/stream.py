"""From a market to its ticks: `Market.stream` and `Market.simulate`.

A step depends on the one before, so a stream that starts in the middle first walks to its start without keeping what it
passes; or it is given the state at the step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pseudofeed.random import _random
from pseudofeed.simulate import _simulate
from pseudofeed.simulate._arguments import array, integer, thread_count
from pseudofeed.simulate.factor_model import FactorModel
from pseudofeed.simulate.paths import MarketState, Paths, TickBlock

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["simulate", "stream", "stream_factors"]

# Ticks in a block for each thread, so that each has enough to do: 1 MiB of prices and variances stays in its
# second-level cache on its way to the encoder. Beyond 16 threads a block grows no more; it keeps 64 of them busy.
_BLOCK_TICKS, _MOST_SHARES = 65_536, 16


@dataclass(frozen=True, slots=True, eq=False)
class _FactorSteps:
    """T steps of K factors, as both native walks want them.

    dt (T,): each step's length in years. nights (T,): 1 where a night precedes the step, None where a night has no
    variance. increments, levels (T, K); shocks (T, K), night_shocks (nights, K): the increments in trading, and in each
    night, less their drift.
    """

    first_step: int
    dt: NDArray[np.float64]
    nights: NDArray[np.uint8] | None
    increments: NDArray[np.float64]
    levels: NDArray[np.float64]
    shocks: NDArray[np.float64]
    night_shocks: NDArray[np.float64] | None


class _Factors:
    """A market's factors and the levels (K,) that they have reached at a step."""

    def __init__(self, market: Market, step: int, levels: NDArray[np.float64]) -> None:
        factors = market.factors
        self.clock = market.clock
        self.model = FactorModel(factors.volatilities, factors.correlations, key=market.key, drifts=factors.drifts)
        self.step = step
        self.levels = array("state.factor_levels", levels, (len(factors.names),)).copy()

    def walk(self, steps: int) -> _FactorSteps:
        """Move on by `steps`."""
        first_step = self.step + 1
        nights = night_shocks = None
        if self.clock.night_dt:
            nights = self.clock.gaps(first_step, steps).view(np.uint8)
            night_shocks = np.empty((int(nights.sum()), len(self.levels)))
        increments, levels, shocks = (np.empty((steps, len(self.levels))) for _ in range(3))
        walked = _FactorSteps(
            first_step, self.clock.step_years(first_step, steps), nights, increments, levels, shocks, night_shocks
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
        )
        self.step += steps
        return walked


class _Run:
    """A market's models and the state they have reached."""

    @_random.default_floating_point
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
        self.heston = _simulate.Heston(
            ids=instruments,
            drift=parameters.drift[instruments],
            kappa=parameters.kappa[instruments],
            theta=parameters.theta[instruments],
            xi=parameters.xi[instruments],
            rho=parameters.rho[instruments],
            idiosyncratic_volatility=parameters.idiosyncratic_volatility[instruments],
            factor_loadings=np.ascontiguousarray(parameters.factor_loadings[instruments]),
            factor_covariance=self.factors.model.covariance,
            key=market.key,
            scheme=market.simulation.scheme,
            substeps=market.simulation.substeps,
        )
        prices, lowest, highest = state.prices, _simulate.LOWEST_PRICE, _simulate.HIGHEST_PRICE
        least = 0.0 if market.simulation.scheme == "qe" else -np.inf
        self.state = np.stack(  # (2, N)
            [
                array("state.prices", prices, instruments.shape, low=lowest, high=highest),
                array("state.variances", state.variances, instruments.shape, low=least),
            ]
        )

    @property
    def step(self) -> int:
        return self.factors.step

    @_random.default_floating_point
    def walk(
        self, steps: int, prices: NDArray[np.float64] | None, variances: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move on by `steps`, keeping prices and variances where given; the factors' increments and levels,
        (steps, K)."""
        factors = self.factors.walk(steps)
        self.heston.walk(
            factors.first_step,
            factors.dt,
            factors.shocks,
            self.state,
            prices,
            variances,
            nights=factors.nights,
            night_dt=self.factors.clock.night_dt,
            night_shocks=factors.night_shocks,
            threads=self.threads,
        )
        return factors.increments, factors.levels


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
    numbers = _numbers(market, instruments)
    threads = thread_count(threads)
    if block_steps is None:
        block_steps = _block_steps(len(numbers), threads)
    block_steps = integer("block_steps", block_steps, low=1)
    if state is not None and state.step >= start_step:
        raise ValueError(f"state: of step {state.step}, expected one before start_step {start_step}")
    return _blocks(market, _Run(market, numbers, state, threads), start_step, steps, block_steps)


def _block_steps(instruments: int, threads: int) -> int:
    return max(1, min(threads, _MOST_SHARES) * _BLOCK_TICKS // instruments)


def _blocks(market: Market, run: _Run, start_step: int, steps: int | None, block_steps: int) -> Iterator[TickBlock]:
    while run.step < start_step - 1:
        run.walk(min(block_steps, start_step - 1 - run.step), None, None)
    end = None if steps is None else start_step - 1 + steps
    while end is None or run.step < end:
        count = block_steps if end is None else min(block_steps, end - run.step)
        first_step = run.step + 1
        prices = np.empty((count, run.state.shape[1]))
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


def simulate(market: Market, steps: int, *, threads: int | None = None) -> Paths:
    """The whole run of `steps` steps in memory; see `Market.simulate`."""
    steps = integer("steps", steps, low=1)
    run = _Run(market, _numbers(market, None), None, thread_count(threads))
    shape = (steps + 1, run.state.shape[1])
    try:
        prices, variances = np.empty(shape), np.empty(shape)
    except (MemoryError, ValueError):
        raise ValueError(
            f"steps is {steps}: {shape[0]} x {shape[1]} prices do not fit in memory; use Market.stream"
        ) from None
    prices[0], variances[0] = run.state
    increments, levels = run.walk(steps, prices[1:], variances[1:])
    return Paths(
        symbols=market.symbols,
        factor_names=market.factors.names,
        time=market.clock.times(0, steps + 1),
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
