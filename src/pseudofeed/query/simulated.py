"""A market's ticks and factors, simulated again, with the same bits. This needs no store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market import Market
from pseudofeed.query.frames import Floats, TickArrays
from pseudofeed.records import FACTOR, TICK, Kind
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.rows import blocks_of

__all__ = ["simulated_factors", "simulated_ticks"]

_BLOCK_STEPS = 65_536  # a block of one instrument or some factors takes some megabytes


def simulated_ticks(market: Market, number: int, start_ns: int | None, end_ns: int | None) -> TickArrays:
    """The ticks of one instrument with start <= time < end. Raises ValueError without an end, or where they do not fit
    in memory."""
    first, steps = _steps(market, start_ns, end_ns)
    time, prices, variances = _room(steps)
    for rows, block in _blocks(TICK, market, np.array([number]), first, steps):
        time[rows], prices[rows], variances[rows] = block.time, block.prices[:, 0], block.variances[:, 0]
    return TickArrays(time, prices, variances)


def simulated_factors(
    market: Market, start_ns: int | None, end_ns: int | None
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Times (T,), increments and levels (T, K) of the steps with start <= time < end. Raises ValueError without an end,
    or where they do not fit in memory."""
    first, steps = _steps(market, start_ns, end_ns)
    numbers = np.arange(len(market.factors.names))
    time, increments, levels = _room(steps, len(numbers))
    for rows, block in _blocks(FACTOR, market, numbers, first, steps):
        time[rows], increments[rows], levels[rows] = block.time, block.factor_increments, block.factor_levels
    return time, increments, levels


def _room(steps: int, *columns: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """An array of times and two of numbers, to be filled."""
    try:
        return np.empty(steps, np.int64), np.empty((steps, *columns)), np.empty((steps, *columns))
    except (MemoryError, ValueError):
        raise ValueError(f"end: the {steps:,} steps before it do not fit in memory; ask for fewer at a time") from None


def _blocks(
    kind: Kind, market: Market, numbers: NDArray[np.int64], first: int, steps: int
) -> Iterator[tuple[slice, TickBlock]]:
    """The blocks of these steps, and where their rows belong."""
    if steps:
        for block in blocks_of(kind, market, numbers, first_step=first, steps=steps, block_steps=_BLOCK_STEPS):
            row = block.first_step - first
            yield slice(row, row + len(block.time)), block


def _steps(market: Market, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    """The first step and how many there are with start <= time < end; step 0 is no tick."""
    if end_ns is None:
        raise ValueError('end: source="simulation" needs one, because a market may go on without end')
    first = 1 if start_ns is None else max(market.clock.step_at(start_ns - 1) + 1, 1)
    return first, max(market.clock.step_at(end_ns - 1) - first + 1, 0)
