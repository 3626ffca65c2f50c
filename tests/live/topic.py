"""What a market's topics must hold."""

from __future__ import annotations

import numpy as np

from pseudofeed.bus.markets import read_market
from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode import decode_factor_blocks, decode_ticks, instrument_partitions
from pseudofeed.market import Market
from pseudofeed.records import FACTOR, TICK
from pseudofeed.settings import Connections

__all__ = ["assert_topic_holds"]

MESSAGES = 5_000


def assert_topic_holds(connections: Connections, market: Market, *, steps: int) -> None:
    """Each partition and the factor topic have the steps 1 to `steps`, once, in order, as they are simulated."""
    record = read_market(connections.require_kafka(), market.name)
    partition_of = instrument_partitions(market.symbols, record.partitions)
    topic = TICK.topic_of(market.name)
    with TopicReader(connections.require_kafka()) as reader:
        for partition in range(record.partitions):
            numbers = np.flatnonzero(partition_of == partition)
            messages = reader.read(topic, {partition: 0})
            if len(numbers) == 0:
                assert list(messages) == []
                continue
            block = next(market.stream(steps=steps, block_steps=steps, instruments=numbers))
            prices, variances, times = (
                block.prices.ravel(),
                block.variances.ravel(),
                np.repeat(block.time, len(numbers)),
            )
            held = 0
            values: list[bytes] = []
            while values or held == 0:
                values = [message.value() or b"" for _, message in zip(range(MESSAGES), messages, strict=False)]
                ticks = decode_ticks(values, fingerprint=market.fingerprint, partition=partition)
                here = slice(held, held + len(ticks))
                ranks = np.arange(here.start, here.stop)
                assert np.array_equal(ticks.sequence, 1 + ranks // len(numbers))
                assert np.array_equal(ticks.number, numbers[ranks % len(numbers)])
                assert np.array_equal(ticks.time, times[here])
                assert ticks["price"].tobytes() == prices[here].tobytes()
                assert ticks["variance"].tobytes() == variances[here].tobytes()
                held += len(ticks)
            assert held == steps * len(numbers)
        values = [message.value() or b"" for message in reader.read(FACTOR.topic_of(market.name), {0: 0})]
    count = len(market.factors.names)
    factors = decode_factor_blocks(values, fingerprint=market.fingerprint, partition=0, factors=count)
    block = next(market.stream(steps=steps, block_steps=steps, instruments=[0]))
    assert np.array_equal(factors.sequence, np.repeat(np.arange(1, steps + 1), count))
    assert factors["increment"].tobytes() == block.factor_increments.tobytes()
    assert factors["level"].tobytes() == block.factor_levels.tobytes()
