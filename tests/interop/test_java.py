"""Kafka's own Java clients, and classes that sbe-tool makes of our schema, see what docs/wire.md says they see."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from numpy.typing import NDArray

from interop.fed_topic import STEPS, assert_are_the_factors, assert_are_the_ticks, fed
from interop.java_programs import JavaPrograms
from probe_kind import PROBE
from pseudofeed.bus.topics import ensure_topic
from pseudofeed.encode import decode_event_blocks, encode_events, encode_state, symbol_partition
from pseudofeed.market import Market
from pseudofeed.records import STATE
from pseudofeed.settings import Connections
from pseudofeed.simulate.rows import block_rows

pytestmark = pytest.mark.time_limit(600)  # the build may have to download its jars


def test_sbe_tools_classes_read_blocks_and_factors(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    paths = fed(connections, market_name).simulate(steps=STEPS)
    servers = connections.require_kafka()["bootstrap.servers"]
    lines = java.run("ReadTopics", servers, f"ticks.{market_name}", f"factors.{market_name}").splitlines()
    ticks = paths.prices[1:].size
    assert_are_the_ticks(paths, lines[:ticks])
    assert_are_the_factors(paths, lines[ticks:])


def test_sbe_tools_classes_read_single_ticks(java: JavaPrograms, connections: Connections, market_name: str) -> None:
    paths = fed(connections, market_name, "tick", "sbe").simulate(steps=STEPS)
    servers = connections.require_kafka()["bootstrap.servers"]
    assert_are_the_ticks(paths, java.run("ReadTopics", servers, f"ticks.{market_name}").splitlines())


def test_sbe_tools_classes_read_events(java: JavaPrograms, connections: Connections, market_name: str) -> None:
    """Of a kind that only tests have, in blocks so short that steps are continued."""
    market = Market.sample(instruments=5, factors=1, seed=2, name=market_name, step="1s", start="2026-03-02T14:30:00Z")
    block = next(market.stream(steps=20))
    rows = block_rows(PROBE, block, np.arange(5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pseudofeed.encode.events.maximum_events", lambda _: 3)
        messages = encode_events(rows, fingerprint=market.fingerprint, partition=0, first_step=1, steps=20)
    lines = _read(java, connections, PROBE.topic_of(market_name), messages)
    blocks = [line.split()[1:] for line in lines if line.startswith("block ")]
    spans = decode_event_blocks(PROBE, messages, fingerprint=market.fingerprint, partition=0).spans
    assert [list(map(int, found)) for found in blocks] == [
        [first, last - first + 1, first_event, more] for first, last, first_event, more, _ in spans.tolist()
    ]
    found = [line.split() for line in lines if not line.startswith("block ")]
    time, sequence, number, event, level, size, side, label = (array.tolist() for array in rows.arrays)
    expected = zip(sequence, number, event, time, level, size, side, label, strict=True)
    assert [(*map(int, own[:4]), float(own[4]), int(own[5]), int(own[6]), own[7].encode()) for own in found] == list(
        expected
    )


def test_sbe_tools_classes_read_a_state(java: JavaPrograms, connections: Connections, market_name: str) -> None:
    prices = np.random.default_rng(3).normal(size=70_000)
    arrays: dict[str, NDArray[Any]] = {
        "price": prices,
        "sizes": np.array([1, 2**32 - 1], np.uint32),
        "flags": np.array([0, 255], np.uint8),
    }
    offsets = {"ticks.x": np.array([5, 2**40]), "factors.x": np.array([9])}
    messages = encode_state(arrays, fingerprint=1, step=12, version=3, key_set=1, offsets=offsets)
    values = [value for _, value in messages]
    lines = [line.split() for line in _read(java, connections, STATE.topic_of(market_name), values)]
    assert [line[1:] for line in lines if line[0] == "state"] == [["12", "3", "1", str(p), "2"] for p in range(2)]
    assert [line[1:] for line in lines if line[0] == "offset"] == [
        [topic, str(p), str(offset)] for topic, own in offsets.items() for p, offset in enumerate(own.tolist())
    ]
    found: dict[str, bytes] = {}
    for _, name, kind, length, first, data in (line for line in lines if line[0] == "array"):
        assert (kind.lower(), int(length)) == (arrays[name].dtype.name, len(arrays[name]))
        assert len(found.get(name, b"")) == int(first) * arrays[name].itemsize
        found[name] = found.get(name, b"") + bytes.fromhex(data)
    assert found == {name: array.tobytes() for name, array in arrays.items()}


def _read(java: JavaPrograms, connections: Connections, topic: str, messages: Sequence[bytes]) -> list[str]:
    """What Java prints of a topic with these messages."""
    kafka = connections.require_kafka()
    ensure_topic(kafka, topic, 1, {})
    producer = Producer(dict(kafka))
    for message in messages:
        producer.produce(topic, message, partition=0)
    assert producer.flush(20) == 0
    return java.run("ReadTopics", kafka["bootstrap.servers"], topic).splitlines()


def test_a_java_producers_default_partitioner_agrees(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    draw = random.Random(5)
    letters = "ABCXYZ0189.-_/ $\"'\\éßΩЖ中文株式😀"
    symbols = {"".join(draw.choices(letters, k=draw.randint(1, 14))).strip() or "A" for _ in range(3000)}
    symbols |= set(Market.sample(instruments=1000, factors=1, seed=1, name="x", step="1s").symbols) | {"BRK.B"}
    ordered = sorted(symbols)
    servers = connections.require_kafka()["bootstrap.servers"]
    for partitions in (7, 12):
        topic = f"keys-{partitions}.{market_name}"
        ensure_topic(connections.require_kafka(), topic, partitions, {})
        out = java.run("ProduceKeys", servers, topic, text="\n".join(ordered))
        assert [int(line) for line in out.split()] == [symbol_partition(symbol, partitions) for symbol in ordered]
