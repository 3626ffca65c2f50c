"""Kafka's own Java clients, and classes that sbe-tool makes of our schema, see what docs/wire.md says they see."""

from __future__ import annotations

import random

import pytest

from interop.fed_topic import STEPS, assert_are_the_factors, assert_are_the_ticks, fed
from interop.java_programs import JavaPrograms
from pseudofeed.bus.topics import ensure_topic
from pseudofeed.encode import symbol_partition
from pseudofeed.market import Market
from pseudofeed.settings import Connections

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
