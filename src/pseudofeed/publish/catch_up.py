"""Before a feed goes on with all partitions in one stream, those that are behind come up to the newest step.

Requests to different partitions and topics are acknowledged apart from each other, so a feed that was killed leaves
them at different steps. Each is simulated alone, from the state that it holds itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pseudofeed.publish.resume import PartitionEnd, TopicEnd
from pseudofeed.simulate.paths import MarketState, TickBlock
from pseudofeed.simulate.stream import stream, stream_factors

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["bring_up"]

FACTOR_STEPS = 65_536


def bring_up(
    market: Market,
    end: TopicEnd,
    target: int,
    *,
    publish: Callable[[TickBlock, int], bool],
    publish_factors: Callable[[TickBlock], bool],
    block_steps: Callable[[int], int],
) -> MarketState | None:
    """Publish what each partition and the factor topic lack up to step `target`; the whole market's state there.

    publish(block, partition) takes the ticks of that partition's instruments alone and says whether to go on;
    block_steps(partition): steps of such a block. None where publish said no, or a partition is beyond `target`.
    """
    levels = end.factors.levels
    for block in stream_factors(
        market,
        start_step=end.factors.step + 1,
        steps=max(0, target - end.factors.step),
        block_steps=FACTOR_STEPS,
        levels=levels,
    ):
        if not publish_factors(block):
            return None
        levels = block.factor_levels[-1].copy()
    state = MarketState(
        target,
        market.instruments.initial_price.copy(),
        market.instruments.initial_variance.copy(),
        levels,
    )
    for partition, own in enumerate(end.partitions):
        if len(own.numbers) == 0:
            continue
        prices, variances, step = own.prices, own.variances, own.step
        if own.ahead > 0 and step < target:
            block = _complete_step(market, own)
            if not publish(block, partition):
                return None
            prices, variances, step = block.prices[-1], block.variances[-1], step + 1
        blocks = stream(
            market,
            start_step=step + 1,
            steps=max(0, target - step),
            block_steps=block_steps(partition),
            instruments=own.numbers,
            state=MarketState(step, prices, variances, np.zeros(len(market.factors.names))),
        )
        for block in blocks:
            if not publish(block, partition):
                return None
            prices, variances = block.prices[-1], block.variances[-1]
        state.prices[own.numbers], state.variances[own.numbers] = prices, variances
    return None if end.newest > target else state


def _complete_step(market: Market, own: PartitionEnd) -> TickBlock:
    """The step of which the partition holds the first `ahead` ticks, as they are, and the rest simulated."""
    rest = slice(own.ahead, None)
    state = MarketState(own.step, own.prices[rest], own.variances[rest], np.zeros(len(market.factors.names)))
    block = next(stream(market, start_step=own.step + 1, steps=1, instruments=own.numbers[rest], state=state))
    prices, variances = own.prices[None].copy(), own.variances[None].copy()
    prices[:, rest], variances[:, rest] = block.prices, block.variances
    return TickBlock(block.first_step, block.time, prices, variances, block.factor_increments, block.factor_levels)
