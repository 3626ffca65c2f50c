"""Topics of single ticks, and whether what a client printed of them is the simulation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from confluent_kafka import Producer

from live.pipe import bits
from pseudofeed.encode import encode_tick, encode_tick_json, instrument_partitions
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.publish.topics import ensure_topic
from pseudofeed.settings import Connections

STEPS = 200


def ticks_of(record: MarketRecord) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Symbol, partition and tick, step by step."""
    paths = record.market.simulate(steps=STEPS)
    partitions = instrument_partitions(record.market.symbols, record.partitions)
    for step in range(1, STEPS + 1):
        for number, symbol in enumerate(record.market.symbols):
            yield (
                symbol,
                int(partitions[number]),
                {
                    "fingerprint": record.fingerprint,
                    "sequence": step,
                    "time": int(paths.time[step]),
                    "instrument": number,
                    "price": float(paths.prices[step, number]),
                    "variance": float(paths.variances[step, number]),
                },
            )


def produce_singly(connections: Connections, record: MarketRecord, topic: str, shape: str) -> int:
    """A topic of single ticks, keyed by symbol; how many they are."""
    ensure_topic(connections.require_kafka(), topic, record.partitions, {})
    producer = Producer({**connections.require_kafka(), "linger.ms": 50})
    count = 0
    for symbol, partition, tick in ticks_of(record):
        single = encode_tick(partition=partition, **tick) if shape == "SBE" else encode_tick_json(symbol, **tick)
        producer.produce(topic, single, symbol.encode(), partition)
        producer.poll(0)
        count += 1
    assert producer.flush(30) == 0
    return count


def assert_is_the_simulation(record: MarketRecord, lines: list[str]) -> None:
    """Lines of sequence, number, time, price and variance: each tick once, in every bit."""
    paths = record.market.simulate(steps=STEPS)
    rows = [line.split() for line in lines]
    sequence, number, time = (np.array([int(row[k]) for row in rows]) for k in range(3))
    price, variance = (np.array([float(row[k]) for row in rows]) for k in (3, 4))
    assert len({(s, n) for s, n in zip(sequence, number, strict=True)}) == len(lines) == paths.prices[1:].size
    assert np.array_equal(time, paths.time[sequence])
    assert np.array_equal(bits(price), bits(paths.prices[sequence, number]))
    assert np.array_equal(bits(variance), bits(paths.variances[sequence, number]))
