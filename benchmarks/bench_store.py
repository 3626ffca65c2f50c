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
from pseudofeed.bus.topics import delete_topic
from pseudofeed.encode import encode_copy_rows
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish.feed import feed
from pseudofeed.records import Kind, kinds_of, row_tables
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.tables import copy_statement
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
    for kind in kinds_of(market):
        delete_topic(kafka, kind.topic_of(name))


def worker(connections: Connections, record: MarketRecord) -> float:
    """Seconds from the first tick's arrival to the last commit."""
    summary = store_market(record, connections, SignalControl(until_caught_up=True))
    assert summary.ticks == INSTRUMENTS * STEPS
    return summary.seconds


@dataclass(frozen=True, slots=True)
class Buffer:
    """Encoded rows of one batch."""

    kind: Kind
    rows: bytes


def psycopg_alone(connections: Connections, record: MarketRecord, *, index_later: bool) -> float:
    """Seconds from the first COPY until all is committed and indexed; each connection has a part of the instruments, as
    the worker's have partitions."""
    stored, tier = prepare_store(record, connections)
    lanes: list[list[Buffer]] = [[] for _ in range(LANES)]
    with open_connection(connections, application="benchmark", writer=True) as connection:
        chunks = {kind: Chunks(tier, kind, stored) for kind, _ in row_tables()}
        for rows in shard_rows(record.market, Shard(1, STEPS, LANES * BATCH_ROWS // INSTRUMENTS)):
            for kind, columns in rows.rows.items():
                chunks[kind].make(connection, columns.time, indexed=not index_later)
                for lane, buffers in enumerate(lanes):
                    part = columns.where(columns.number % LANES == lane)
                    buffers.append(Buffer(kind, encode_copy_rows(part, stored.ids_of(kind))))

    def copy(buffers: list[Buffer]) -> None:
        with open_connection(connections, application="benchmark", writer=True) as connection:
            started.wait()
            for buffer in buffers:
                with connection.transaction(), connection.cursor().copy(copy_statement(buffer.kind)) as into:
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
        for kind, table in row_tables():
            for chunk in unindexed_chunks(connection, tier, kind) if table.index_by_chunk else ():
                make_index(connection, chunk, kind)
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
