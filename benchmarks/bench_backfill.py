"""Backfill by batch and number of connections, beside the store worker on a full topic and plain COPY.

Each line loads the same ticks and factor levels into a database of its own. Plain COPY writes rows that are simulated
and encoded on its way, without factor levels, on one connection: once into chunks that have the index, once making it
behind the rows. Needs PSEUDOFEED_KAFKA and PSEUDOFEED_POSTGRES (`make bench` sets them).
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from functools import partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from live_servers import fresh_database
from pseudofeed.bus.markets import read_market
from pseudofeed.bus.topics import delete_topic
from pseudofeed.encode import encode_copy_rows
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish.feed import feed
from pseudofeed.records import TICK, kinds_of
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.backfill.run import backfill_market
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.registry import register_without_kafka
from pseudofeed.store.schema import migrate
from pseudofeed.store.tables import copy_statement
from pseudofeed.store.worker import store_market

INSTRUMENTS, STEPS = 100, 15_000
# Rows, connections; the last is as it is.
BATCHES = ((100_000, 1), (200_000, 1), (400_000, 1), (1_000_000, 1), (400_000, 2), (200_000, 2))

pytestmark = pytest.mark.skipif(
    not {"PSEUDOFEED_KAFKA", "PSEUDOFEED_POSTGRES"} <= os.environ.keys(),
    reason="needs PSEUDOFEED_KAFKA and PSEUDOFEED_POSTGRES",
)


def by_backfill(connections: Connections, market: Market, *, batch_rows: int, writers: int) -> float:
    """Ticks a second, as all of these."""
    summary = backfill_market(
        market, connections, SignalControl(), end=str(STEPS), batch_rows=batch_rows, writers=writers
    )
    return summary.ticks_per_second


def by_worker(connections: Connections, market: Market) -> float:
    kafka = connections.require_kafka()
    feed(market, connections, SignalControl(), steps=STEPS)
    try:
        summary = store_market(read_market(kafka, market.name), connections, SignalControl(until_caught_up=True))
        return summary.ticks_per_second
    finally:
        for kind in kinds_of(market):
            delete_topic(kafka, kind.topic_of(market.name))


def by_copy(connections: Connections, market: Market, *, index_later: bool) -> float:
    with open_connection(connections, application="benchmark", writer=True) as connection:
        tier, stored = migrate(connection), register_without_kafka(connection, market)
        chunks = Chunks(tier, TICK, stored)
        connection.execute("SET statement_timeout = 0")
        begun = time.monotonic()
        for rows in shard_rows(market, Shard(1, STEPS, 400_000 // INSTRUMENTS)):
            chunks.make(connection, rows.rows[TICK].time, indexed=not index_later)
            with connection.transaction(), connection.cursor().copy(copy_statement(TICK)) as copy:
                copy.write(memoryview(encode_copy_rows(rows.rows[TICK], stored.instrument_ids)))
        for chunk in unindexed_chunks(connection, tier, TICK):
            make_index(connection, chunk, TICK)
        return STEPS * INSTRUMENTS / (time.monotonic() - begun)


@pytest.mark.parametrize("number", range(3))
def test_backfill(benchmark: BenchmarkFixture, number: int) -> None:
    """All of them, another one first each time; the benchmark's own time is of two connections, as it is by default."""
    loads: dict[str, Callable[[Connections, Market], float]] = {
        f"backfill, batches of {rows:,}, connections {writers}": partial(by_backfill, batch_rows=rows, writers=writers)
        for rows, writers in BATCHES
    }
    default = loads[next(reversed(loads))]
    loads["store worker, connections 2"] = by_worker
    loads["COPY, index kept up"] = partial(by_copy, index_later=False)
    loads["COPY, index behind the rows"] = partial(by_copy, index_later=True)
    names = list(loads)
    rates: dict[str, float] = {}
    for name in names[number:] + names[:number]:
        market = Market.sample(
            instruments=INSTRUMENTS, factors=3, seed=7, name=f"bench-{uuid.uuid4().hex[:8]}", start="2026-03-02T00:00Z"
        )
        with fresh_database(Connections.resolve()) as own:
            load = loads[name]
            rates[name] = benchmark.pedantic(load, (own, market), rounds=1) if load is default else load(own, market)
    benchmark.group = f"load {INSTRUMENTS * STEPS} ticks of {INSTRUMENTS} instruments"
    benchmark.extra_info |= {f"{name}, ticks/s": rate for name, rate in rates.items()}
