"""JSON ticks as kcat and Kafka's console consumer print them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from interop.fed_topic import PARTITIONS, STEPS, assert_are_the_ticks, fed
from interop.java_programs import JavaPrograms
from pseudofeed.encode import symbol_partition
from pseudofeed.market import Market
from pseudofeed.settings import Connections


def assert_are_the_messages(market: Market, messages: list[str]) -> None:
    ticks = [json.loads(message) for message in messages]
    symbols = market.symbols
    assert {tick["market_fingerprint"] for tick in ticks} == {f"{market.fingerprint:016x}"}
    assert all(tick["symbol"] == symbols[tick["instrument"]] for tick in ticks)
    times = {f"{np.datetime64(int(time), 'ns')}Z": int(time) for time in market.clock.times(1, STEPS)}
    assert_are_the_ticks(
        market.simulate(steps=STEPS),
        [f"{t['sequence']} {t['instrument']} {times[t['time']]} {t['price']!r} {t['variance']!r}" for t in ticks],
    )


def test_kcat_prints_keys_and_ticks(
    connections: Connections, market_name: str, client: Callable[..., str], tmp_path: Path
) -> None:
    market = fed(connections, market_name, "tick", "json")
    settings = tmp_path / "kcat.conf"
    settings.write_text("".join(f"{key}={value}\n" for key, value in connections.require_kafka().items()))
    out = client("kcat", "-F", str(settings), "-q", "-C", "-t", f"ticks.{market_name}", "-e", "-f", "%p %k %s\n")
    lines = [line.split(" ", 2) for line in out.splitlines()]
    assert all(json.loads(value)["symbol"] == key for _, key, value in lines)
    assert all(int(partition) == symbol_partition(key, PARTITIONS) for partition, key, _ in lines)
    assert_are_the_messages(market, [value for _, _, value in lines])


@pytest.mark.time_limit(600)
def test_kafkas_console_consumer_prints_ticks(java: JavaPrograms, connections: Connections, market_name: str) -> None:
    market = fed(connections, market_name, "tick", "json")
    out = java.run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", connections.require_kafka()["bootstrap.servers"]),
        *("--topic", f"ticks.{market_name}", "--from-beginning"),
        *("--max-messages", str(STEPS * len(market.symbols)), "--timeout-ms", "60000"),
    )
    assert_are_the_messages(market, out.splitlines())
