"""Kafka's own Java clients, and classes that sbe-tool makes of our schema, see what docs/wire.md says they see."""

from __future__ import annotations

import random

import pytest

from interop.java_programs import JavaPrograms
from interop.single_ticks import STEPS, assert_is_the_simulation, produce_singly
from live.pipe import fed_market
from pseudofeed.encode import symbol_partition
from pseudofeed.market import Market
from pseudofeed.publish.topics import ensure_topic
from pseudofeed.settings import Connections

pytestmark = pytest.mark.time_limit(600)  # the build may have to download its jars


def test_sbe_tools_classes_read_blocks_and_single_ticks(
    java: JavaPrograms, connections: Connections, market_name: str
) -> None:
    record = fed_market(connections, market_name, steps=STEPS)
    blocks = java.run("ReadTopic", connections.require_kafka()["bootstrap.servers"], f"ticks.{market_name}")
    assert_is_the_simulation(record, blocks.splitlines())
    produce_singly(connections, record, f"single.{market_name}", "SBE")
    singles = java.run("ReadTopic", connections.require_kafka()["bootstrap.servers"], f"single.{market_name}")
    assert_is_the_simulation(record, singles.splitlines())


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
        out = java.run("ProduceKeys", connections.require_kafka()["bootstrap.servers"], topic, text="\n".join(ordered))
        assert [int(line) for line in out.split()] == [symbol_partition(symbol, partitions) for symbol in ordered]
