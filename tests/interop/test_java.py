"""Kafka's own Java clients, and classes that sbe-tool makes of our schema, see what docs/wire.md says they see."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from confluent_kafka import Producer

from interop.java_programs import JavaPrograms, java_programs
from live.pipe import bits, fed_market
from pseudofeed.encode import encode_tick, encode_tick_json, instrument_partitions, symbol_partition
from pseudofeed.market import Market
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.publish.topics import ensure_topic
from pseudofeed.settings import Connections

STEPS = 200


@pytest.fixture(scope="session")
def java() -> JavaPrograms:
    """The first of all, on a machine without the jars, also waits for their download."""
    return java_programs()


def servers_of(connections: Connections) -> str:
    return connections.require_kafka()["bootstrap.servers"]


def ticks_of(record: MarketRecord) -> Iterator[tuple[str, int, dict[str, int | float]]]:
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


def produced(connections: Connections, record: MarketRecord, topic: str, shape: str) -> int:
    """A topic of single ticks, keyed by symbol; how many they are."""
    ensure_topic(connections.require_kafka(), topic, record.partitions, {})
    producer = Producer({**connections.require_kafka(), "linger.ms": 50})
    count = 0
    for symbol, partition, tick in ticks_of(record):
        single = encode_tick(partition=partition, **tick) if shape == "SBE" else encode_tick_json(symbol, **tick)  # type: ignore[arg-type]
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


@pytest.mark.time_limit(600)
def test_sbe_tools_classes_read_blocks_and_single_ticks(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    record = fed_market(connections, market_name, steps=STEPS)
    blocks = java.run("ReadTopic", servers_of(connections), f"ticks.{market_name}")
    assert_is_the_simulation(record, blocks.splitlines())
    produced(connections, record, f"single.{market_name}", "SBE")
    singles = java.run("ReadTopic", servers_of(connections), f"single.{market_name}")
    assert_is_the_simulation(record, singles.splitlines())


def test_kafkas_console_consumer_prints_json_ticks(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    record = fed_market(connections, market_name, steps=1)
    count = produced(connections, record, f"json.{market_name}", "JSON")
    out = java.run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", servers_of(connections), "--topic", f"json.{market_name}"),
        *("--from-beginning", "--max-messages", str(count), "--timeout-ms", "60000"),
    )
    ticks = [json.loads(line) for line in out.splitlines()]
    assert {tick["market_fingerprint"] for tick in ticks} == {f"{record.fingerprint:016x}"}
    assert all(tick["symbol"] == record.market.symbols[tick["instrument"]] for tick in ticks)
    starts = {str(np.datetime64(int(time), "ns")) + "Z": int(time) for time in record.market.clock.times(1, STEPS)}
    assert_is_the_simulation(
        record,
        [f"{t['sequence']} {t['instrument']} {starts[t['time']]} {t['price']!r} {t['variance']!r}" for t in ticks],
    )


def test_a_java_producers_default_partitioner_agrees(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    draw = random.Random(5)
    letters = "ABCXYZ0189.-_/ $\"'\\éßΩЖ中文株式😀"
    symbols = {"".join(draw.choices(letters, k=draw.randint(1, 14))).strip() or "A" for _ in range(3000)}
    symbols |= set(Market.sample(instruments=1000, factors=1, seed=1, name="x", step="1s").symbols) | {"BRK.B"}
    ordered = sorted(symbols)
    for partitions in (7, 12):
        topic = f"keys-{partitions}.{market_name}"
        ensure_topic(connections.require_kafka(), topic, partitions, {})
        out = java.run("ProduceKeys", servers_of(connections), topic, text="\n".join(ordered))
        assert [int(line) for line in out.split()] == [symbol_partition(symbol, partitions) for symbol in ordered]
