"""Storing a topic that is already full: the store worker, and psycopg alone with buffers that were encoded beforehand.

The same rows into the same table with its (instrument, time) index, in batches of the worker's size over as many
connections. The peer has nothing to read, decode, sort or encode, moves no offsets, and copies factor levels too: it is
what PostgreSQL can take. Needs PSEUDOFEED_KAFKA and PSEUDOFEED_POSTGRES (`make bench` sets them).
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pseudofeed.control import SignalControl
from pseudofeed.encode import encode_copy_rows
from pseudofeed.market import Market
from pseudofeed.publish.feed import feed
from pseudofeed.publish.markets import MarketRecord, read_market
from pseudofeed.publish.topics import delete_topic, factor_topic, tick_topic
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.forget import forget_market
from pseudofeed.store.series import FACTORS, TICKS, Series
from pseudofeed.store.worker import BATCH_ROWS, LANES, prepare_store, store_market

INSTRUMENTS, STEPS = 100, 20_000

pytestmark = pytest.mark.skipif(
    not {"PSEUDOFEED_KAFKA", "PSEUDOFEED_POSTGRES"} <= os.environ.keys(),
    reason="needs PSEUDOFEED_KAFKA and PSEUDOFEED_POSTGRES",
)


@pytest.fixture
def record() -> Iterator[MarketRecord]:
    """A market whose whole run is in its topics."""
    connections = Connections.resolve()
    kafka = connections.require_kafka()
    name = f"bench-{uuid.uuid4().hex[:8]}"
    market = Market.sample(instruments=INSTRUMENTS, factors=3, seed=7, name=name, start="2026-03-02T00:00:00Z")
    feed(market, connections, SignalControl(), steps=STEPS)
    yield read_market(kafka, name)
    for topic in (tick_topic(name), factor_topic(name)):
        delete_topic(kafka, topic)
    with open_connection(connections, application="benchmark", writer=True) as connection:
        forget_market(connection, name)


def worker(connections: Connections, record: MarketRecord) -> float:
    """Seconds from the first tick's arrival to the last commit."""
    summary = store_market(record, connections, SignalControl(until_caught_up=True))
    assert summary.ticks == INSTRUMENTS * STEPS
    return summary.seconds


@dataclass(frozen=True, slots=True)
class Buffer:
    """Encoded rows of one batch."""

    series: Series
    rows: bytes


def psycopg_alone(connections: Connections, record: MarketRecord) -> float:
    """Seconds from the first COPY to the last commit; each connection has a part of the instruments, as the worker's
    have partitions."""
    stored, tier = prepare_store(record, connections)
    lanes: list[list[Buffer]] = [[] for _ in range(LANES)]
    with open_connection(connections, application="benchmark", writer=True) as connection:
        chunks = {series: Chunks(tier, series, stored) for series in (TICKS, FACTORS)}
        for rows in shard_rows(record.market, Shard(1, STEPS, LANES * BATCH_ROWS // INSTRUMENTS)):
            for series, columns in ((TICKS, rows.ticks), (FACTORS, rows.factors)):
                chunks[series].make(connection, columns.time)
                for lane, buffers in enumerate(lanes):
                    part = columns.where(columns.instrument % LANES == lane)
                    buffers.append(Buffer(series, encode_copy_rows(part, series.ids(stored))))

    def copy(buffers: list[Buffer]) -> None:
        with open_connection(connections, application="benchmark", writer=True) as connection:
            started.wait()
            for buffer in buffers:
                with connection.transaction(), connection.cursor().copy(buffer.series.copy.encode()) as into:
                    into.write(memoryview(buffer.rows))

    started = threading.Barrier(LANES + 1)
    threads = [threading.Thread(target=copy, args=(buffers,)) for buffers in lanes]
    for thread in threads:
        thread.start()
    started.wait()
    begun = time.monotonic()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun


@pytest.mark.parametrize("number", range(3))
def test_store(benchmark: BenchmarkFixture, record: MarketRecord, number: int) -> None:
    """Both, one after the other, which of them first in turn; the benchmark's own time is the worker's."""
    connections = Connections.resolve()
    seconds: dict[str, float] = {}

    def peer() -> None:
        seconds["psycopg"] = psycopg_alone(connections, record)
        with open_connection(connections, application="benchmark", writer=True) as connection:
            forget_market(connection, record.name)

    if number % 2 == 0:
        peer()
    seconds["worker"] = benchmark.pedantic(worker, (connections, record), rounds=1)
    if number % 2 == 1:
        with open_connection(connections, application="benchmark", writer=True) as connection:
            forget_market(connection, record.name)
        peer()
    benchmark.group = f"store {INSTRUMENTS * STEPS} ticks of {INSTRUMENTS} instruments, {LANES} connections"
    ticks = INSTRUMENTS * STEPS
    benchmark.extra_info |= {f"{who}_ticks_per_second": ticks / taken for who, taken in seconds.items()}
    benchmark.extra_info["worker_over_psycopg"] = seconds["psycopg"] / seconds["worker"]
