"""Storing a topic that is already full: the store worker, and psycopg alone with buffers that were encoded beforehand.

The same rows into the same table, each time in a new database, in batches of the worker's size over as many
connections, and the (instrument, time) index is there at the end. The peer has nothing to read, decode, sort or encode,
moves no offsets, and copies factor levels too: it is what PostgreSQL can take, once with the index kept up, as
everybody has it, and once with it made behind the rows, as the worker does it. Needs PSEUDOFEED_KAFKA and
PSEUDOFEED_POSTGRES (`make bench` sets them).
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from live_servers import fresh_database
from pseudofeed.bus.markets import MarketRecord, read_market
from pseudofeed.bus.topics import delete_topic, factor_topic, tick_topic
from pseudofeed.encode import encode_copy_rows
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish.feed import feed
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
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


def psycopg_alone(connections: Connections, record: MarketRecord, *, index_later: bool) -> float:
    """Seconds from the first COPY until all is committed and indexed; each connection has a part of the instruments, as
    the worker's have partitions."""
    stored, tier = prepare_store(record, connections)
    lanes: list[list[Buffer]] = [[] for _ in range(LANES)]
    with open_connection(connections, application="benchmark", writer=True) as connection:
        chunks = {series: Chunks(tier, series, stored) for series in (TICKS, FACTORS)}
        for rows in shard_rows(record.market, Shard(1, STEPS, LANES * BATCH_ROWS // INSTRUMENTS)):
            for series, columns in ((TICKS, rows.ticks), (FACTORS, rows.factors)):
                chunks[series].make(connection, columns.time, indexed=not index_later)
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
    with open_connection(connections, application="benchmark", writer=True) as connection:
        for chunk in unindexed_chunks(connection, tier):
            make_index(connection, chunk)
    return time.monotonic() - begun


@pytest.mark.parametrize("number", range(3))
def test_store(benchmark: BenchmarkFixture, record: MarketRecord, number: int) -> None:
    """All three, which of them first in turn; the benchmark's own time is the worker's."""
    writers: dict[str, Callable[[Connections], float]] = {
        "psycopg": lambda own: psycopg_alone(own, record, index_later=False),
        "worker": lambda own: benchmark.pedantic(worker, (own, record), rounds=1),
        "psycopg, index later": lambda own: psycopg_alone(own, record, index_later=True),
    }
    seconds: dict[str, float] = {}
    names = list(writers)
    for name in names[number:] + names[:number]:
        with fresh_database(Connections.resolve()) as own:
            seconds[name] = writers[name](own)
    benchmark.group = f"store {INSTRUMENTS * STEPS} ticks of {INSTRUMENTS} instruments, {LANES} connections"
    benchmark.extra_info |= {
        **{f"{name}, ticks/s": INSTRUMENTS * STEPS / taken for name, taken in seconds.items()},
        "worker over psycopg": seconds["psycopg"] / seconds["worker"],
        "worker over psycopg, index later": seconds["psycopg, index later"] / seconds["worker"],
    }
