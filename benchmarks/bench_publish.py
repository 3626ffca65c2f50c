"""Publishing to the real broker: from arrays to the last acknowledgement, and from a tick's time to its reader.

Beside it, in the same run, the loops that a competent user would write (peers/publish.py). Needs PSEUDOFEED_KAFKA
(`make bench` sets it). A round is a new topic of 4 partitions; the client is connected before the clock starts, the
peers' too little to matter (half a second of connecting is taken off by the number of their ticks).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from pytest_benchmark.fixture import BenchmarkFixture

from peers.publish import publish
from pseudofeed.bus.markets import read_market
from pseudofeed.bus.topics import delete_topic, ensure_topic, topic_config
from pseudofeed.encode import decode_ticks, instrument_partitions
from pseudofeed.market import Market
from pseudofeed.publish.producer import Producer
from pseudofeed.records import TICK

INSTRUMENTS, PARTITIONS = 100, 4
STEPS = {"peer struct": 5_000, "peer json": 2_000, "tick sbe": 20_000, "tick json": 10_000, "block sbe": 100_000}

pytestmark = pytest.mark.skipif("PSEUDOFEED_KAFKA" not in os.environ, reason="needs PSEUDOFEED_KAFKA")


@pytest.fixture
def kafka() -> dict[str, str]:
    return {"bootstrap.servers": os.environ["PSEUDOFEED_KAFKA"]}


@pytest.fixture
def topic(kafka: dict[str, str]) -> Iterator[str]:
    name = f"ticks.bench-{uuid.uuid4().hex[:8]}"
    ensure_topic(kafka, name, PARTITIONS, topic_config(TICK))
    yield name
    delete_topic(kafka, name)


@pytest.mark.parametrize("who", STEPS)
def test_publish(benchmark: BenchmarkFixture, kafka: dict[str, str], topic: str, who: str) -> None:
    market, steps = Market.sample(instruments=INSTRUMENTS), STEPS[who]
    block = next(market.stream(steps=steps, block_steps=steps))
    shape, encoding = who.split()
    rates: list[float] = []

    def peer() -> None:
        began = time.perf_counter()
        publish(kafka["bootstrap.servers"], topic, market.symbols, block.time, block.prices, block.variances, encoding)
        rates.append(block.prices.size / (time.perf_counter() - began))

    def ours() -> None:
        with Producer(
            kafka,
            topic,
            symbols=market.symbols,
            partitions=instrument_partitions(market.symbols, PARTITIONS),
            partition_count=PARTITIONS,
            fingerprint=market.fingerprint,
            mode=shape,
            encoding=encoding,
        ) as producer:
            producer.publish(block.part(0, 1))
            assert producer.flush() == 0
            began = time.perf_counter()
            producer.publish(block)
            assert producer.flush(60) == 0
            rates.append(block.prices.size / (time.perf_counter() - began))

    benchmark.group = f"publish the ticks of {INSTRUMENTS} instruments"
    benchmark.pedantic(peer if shape == "peer" else ours, rounds=5)
    benchmark.extra_info["ticks_per_second"] = sorted(rates)[2]


LIVE = """[market]
name = "{name}"
seed = 7
[clock]
start = "now"
step = "5ms"
[factors]
names = ["market"]
volatilities = [0.16]
correlations = [[1.0]]
[instruments]
count = 100
"""


@pytest.mark.parametrize("mode", ["block", "tick"])
def test_latency_at_20_000_ticks_a_second(
    benchmark: BenchmarkFixture, kafka: dict[str, str], tmp_path: Path, mode: str
) -> None:
    """A live market: a tick's time is when it was to be published, on the clock that the reader looks at."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "live.toml"
    file.write_text(LIVE.format(name=name))
    command = [sys.executable, "-m", "pseudofeed", "feed", str(file), "--mode", mode, "--speed", "1", "--json"]
    # It registers the market and publishes its first steps.
    subprocess.run([*command, "--steps", "1"], check=True, capture_output=True)
    record = read_market(kafka, name)
    late: list[np.ndarray] = []
    ended = threading.Event()

    def read() -> None:
        consumer = Consumer({**kafka, "group.id": name, "enable.auto.commit": False})
        topic = TICK.topic_of(name)
        consumer.assign([TopicPartition(topic, p, 1) for p in range(record.partitions)])
        while not ended.is_set():
            messages, now = consumer.consume(1000, timeout=0.001), time.time_ns()
            for partition in {message.partition() for message in messages if message.error() is None}:
                values = [message.value() or b"" for message in messages if message.partition() == partition]
                ticks = decode_ticks(values, fingerprint=record.fingerprint, partition=partition or 0)
                late.append((now - ticks.time) / 1e6)
        consumer.close()

    reader = threading.Thread(target=read)
    reader.start()
    seen = time.time_ns() - record.market.clock.start_ns
    steps = seen // 5_000_000 + 3_000  # the steps until now, at once, and then 15 s of live ones

    def feed() -> None:
        done = subprocess.run([*command, "--steps", str(steps)], check=True, capture_output=True, text=True)
        benchmark.extra_info["pacing"] = json.loads(done.stdout.splitlines()[-1])["pacing"]

    benchmark.group = "from a tick's time to its reader"
    benchmark.pedantic(feed, rounds=1)
    time.sleep(1)
    ended.set()
    reader.join()
    live = np.concatenate(late)[-200_000:]
    assert len(live) == 200_000
    benchmark.extra_info |= {"p50_ms": float(np.quantile(live, 0.5)), "p99_ms": float(np.quantile(live, 0.99))}
    delete_topic(kafka, TICK.topic_of(name))
