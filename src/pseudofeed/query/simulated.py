"""A market's ticks and factors, simulated again, with the same bits. This needs no store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market import Market
from pseudofeed.query.frames import Floats, TickArrays
from pseudofeed.records import FACTOR
from pseudofeed.simulate.rows import blocks_of

__all__ = ["simulated_factors", "simulated_ticks"]

_FACTOR_STEPS = 65_536  # of a block: some megabytes with its times, and few blocks to concatenate


def simulated_ticks(market: Market, number: int, start_ns: int | None, end_ns: int | None) -> TickArrays:
    """The ticks of one instrument with start <= time < end. Raises ValueError without an end."""
    first, steps = _steps(market, start_ns, end_ns)
    blocks = list(market.stream(start_step=first, steps=steps, instruments=[number])) if steps else []
    return TickArrays(
        np.concatenate([np.empty(0, np.int64), *(block.time for block in blocks)]),
        np.concatenate([np.empty(0), *(block.prices[:, 0] for block in blocks)]),
        np.concatenate([np.empty(0), *(block.variances[:, 0] for block in blocks)]),
    )


def simulated_factors(
    market: Market, start_ns: int | None, end_ns: int | None
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Times (T,), increments and levels (T, K) of the steps with start <= time < end. Raises ValueError without an
    end."""
    first, steps = _steps(market, start_ns, end_ns)
    numbers = np.arange(len(market.factors.names))
    blocks = blocks_of(FACTOR, market, numbers, first_step=first, steps=steps, block_steps=_FACTOR_STEPS)
    found = list(blocks) if steps else []
    none = np.empty((0, len(market.factors.names)))
    return (
        np.concatenate([np.empty(0, np.int64), *(block.time for block in found)]),
        np.concatenate([none, *(block.factor_increments for block in found)]),
        np.concatenate([none, *(block.factor_levels for block in found)]),
    )


def _steps(market: Market, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    """The first step and how many there are with start <= time < end; step 0 is no tick."""
    if end_ns is None:
        raise ValueError('end: source="simulation" needs one, because a market may go on without end')
    first = 1 if start_ns is None else max(market.clock.step_at(start_ns - 1) + 1, 1)
    return first, max(market.clock.step_at(end_ns - 1) - first + 1, 0)
