"""The simulated rows of a kind of record: the blocks that have them, and the rows of a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.records import Columns, Key, Kind, Shape
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.stream import stream, stream_factors

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["block_rows", "blocks_of"]


def block_rows(kind: Kind, block: TickBlock, numbers: NDArray[np.int64]) -> Columns:
    """The rows of a kind in a block that was simulated for the members with these numbers, ascending by step, number
    and event. Raises ValueError if the kind has no such rows."""
    if kind.shape is Shape.DENSE:
        arrays = (getattr(block, field.array) for field in kind.fields)
        return Columns.dense(kind, block.first_step, block.time, numbers, *arrays)
    if kind.events is None:
        raise ValueError(f"the simulation makes no {kind.topic}")
    return kind.events(block, numbers)


def blocks_of(
    kind: Kind, market: Market, numbers: NDArray[np.int64], *, first_step: int, steps: int, block_steps: int
) -> Iterator[TickBlock]:
    """The blocks with the rows of some members of a kind, `block_steps` each. Earlier steps are simulated, too."""
    if kind.key is Key.INSTRUMENT:
        return stream(market, start_step=first_step, steps=steps, block_steps=block_steps, instruments=numbers)
    if kind.key is Key.FACTOR:
        return _factor_blocks(market, first_step, steps, block_steps)
    return stream(market, start_step=first_step, steps=steps, block_steps=block_steps)


def _factor_blocks(market: Market, first_step: int, steps: int, block_steps: int) -> Iterator[TickBlock]:
    """The factors alone."""
    levels = np.zeros(len(market.factors.names))
    for block in stream_factors(market, start_step=1, steps=first_step - 1, block_steps=block_steps, levels=levels):
        levels = block.factor_levels[-1]
    yield from stream_factors(market, start_step=first_step, steps=steps, block_steps=block_steps, levels=levels)
