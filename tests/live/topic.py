"""What a market's tick topic must hold."""

from __future__ import annotations

import numpy as np

from pseudofeed.encode import decode_ticks, instrument_partitions
from pseudofeed.market import Market
from pseudofeed.publish.markets import read_market
from pseudofeed.publish.reader import TopicReader
from pseudofeed.publish.topics import tick_topic
from pseudofeed.settings import Connections

__all__ = ["assert_topic_holds"]

MESSAGES = 5_000


def assert_topic_holds(connections: Connections, market: Market, *, steps: int) -> None:
    """Each partition has the steps 1 to `steps` of its instruments, once, in order, as they are simulated."""
    record = read_market(connections.require_kafka(), market.name)
    partition_of = instrument_partitions(market.symbols, record.partitions)
    topic = tick_topic(market.name)
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
            held, values = 0, []
            while values or held == 0:
                values = [message.value() or b"" for _, message in zip(range(MESSAGES), messages, strict=False)]
                ticks = decode_ticks(values, fingerprint=market.fingerprint, partition=partition)
                here = slice(held, held + len(ticks))
                ranks = np.arange(here.start, here.stop)
                assert np.array_equal(ticks.sequence, 1 + ranks // len(numbers))
                assert np.array_equal(ticks.instrument, numbers[ranks % len(numbers)])
                assert np.array_equal(ticks.time, times[here])
                assert ticks.price.tobytes() == prices[here].tobytes()
                assert ticks.variance.tobytes() == variances[here].tobytes()
                held += len(ticks)
            assert held == steps * len(numbers)
