"""The rows of some steps of a market, as a pure function of the market and of which steps: whoever computes them, in
whatever order and on whatever machine, gets the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pseudofeed.market import Market
from pseudofeed.records import Columns, Kind, stored_kinds
from pseudofeed.simulate.models import Stopping
from pseudofeed.simulate.rows import block_rows
from pseudofeed.simulate.state import MarketState
from pseudofeed.simulate.stream import stream

__all__ = ["Shard", "ShardRows", "shard_rows"]


@dataclass(frozen=True, slots=True)
class Shard:
    """The steps first to last of all kinds and members, in batches of `batch_steps`."""

    first: int
    last: int
    batch_steps: int


@dataclass(frozen=True, slots=True, eq=False)
class ShardRows:
    """The steps first to last. rows: all, of each kind that is stored. state: the simulation's after `last`."""

    first: int
    last: int
    rows: Mapping[Kind, Columns]
    state: MarketState


def shard_rows(
    market: Market, shard: Shard, *, state: MarketState | None = None, stopping: Stopping | None = None
) -> Iterator[ShardRows]:
    """The rows, batch after batch, with memory for one. state: of a step before the shard's, to go on from; without it
    the steps before are walked through. stopping: asked every 50 ms; the batches end before the shard does where it
    says so. On one thread. Raises as `Market.stream` does."""
    blocks = stream(
        market,
        start_step=shard.first,
        steps=shard.last - shard.first + 1,
        block_steps=shard.batch_steps,
        state=state,
        threads=1,
        stopping=stopping,
    )
    members = {kind: np.arange(len(kind.key.names(market))) for kind in stored_kinds(market)}
    for block in blocks:
        rows = {kind: block_rows(kind, block, numbers) for kind, numbers in members.items()}
        yield ShardRows(block.first_step, block.last_step, rows, block.state)
