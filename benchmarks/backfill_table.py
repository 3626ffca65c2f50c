"""Backfill beside the store worker, by batch and number of connections; what making the index behind the rows gains.

Each line is a market of its own, dropped again afterwards; the last two lines load the same rows with plain COPY, once
into chunks that have the index, once making it behind them. Needs PSEUDOFEED_POSTGRES, and PSEUDOFEED_KAFKA for the
worker's line.

    python benchmarks/backfill_table.py [--steps 15000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Iterator

from pseudofeed.control import SignalControl
from pseudofeed.encode import encode_copy_rows
from pseudofeed.market import Market
from pseudofeed.publish.feed import feed
from pseudofeed.publish.markets import read_market
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.backfill.run import backfill_market
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.forget import forget_market
from pseudofeed.store.registry import register_without_kafka
from pseudofeed.store.schema import find_tier
from pseudofeed.store.series import TICKS
from pseudofeed.store.worker import store_market

INSTRUMENTS = 100
LINES = ((100_000, 1), (200_000, 1), (400_000, 1), (1_000_000, 1), (400_000, 2))


def _market() -> Market:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    return Market.sample(instruments=INSTRUMENTS, factors=3, seed=7, name=name, start="2026-03-02T00:00:00Z")


def _drop(connections: Connections, market: Market) -> None:
    with open_connection(connections, application="benchmark", writer=True) as connection:
        forget_market(connection, market.name)


def by_copy(connections: Connections, market: Market, steps: int, *, index_later: bool) -> float:
    """Ticks a second of plain COPY on one connection, the index's making included."""
    with open_connection(connections, application="benchmark", writer=True) as connection:
        stored, tier = register_without_kafka(connection, market), find_tier(connection)
        chunks = Chunks(tier, TICKS, stored)
        connection.execute("SET statement_timeout = 0")
        begun = time.monotonic()
        for rows in shard_rows(market, Shard(1, steps, 400_000 // INSTRUMENTS)):
            chunks.make(connection, rows.ticks.time, indexed=not index_later)
            with connection.transaction(), connection.cursor().copy(TICKS.copy.encode()) as copy:
                copy.write(memoryview(encode_copy_rows(rows.ticks, stored.instrument_ids)))
        for chunk in unindexed_chunks(connection, tier):
            make_index(connection, chunk)
        return steps * INSTRUMENTS / (time.monotonic() - begun)


def lines(connections: Connections, steps: int) -> Iterator[tuple[str, float]]:
    """(what, ticks a second) of one round."""
    for batch_rows, lanes in LINES:
        market = _market()
        summary = backfill_market(
            market, connections, SignalControl(), end=str(steps), batch_rows=batch_rows, lanes=lanes
        )
        yield f"backfill, batches of {batch_rows:,}, connections {lanes}", summary.ticks_per_second
        _drop(connections, market)
    if connections.kafka is not None:
        market = _market()
        feed(market, connections, SignalControl(), steps=steps)
        record = read_market(connections.kafka, market.name)
        worker = store_market(record, connections, SignalControl(until_caught_up=True))
        yield "store worker, a full topic, connections 2", worker.ticks_per_second
        _drop(connections, market)
    for index_later in (False, True):
        market = _market()
        rate = by_copy(connections, market, steps, index_later=index_later)
        yield f"COPY, index {'behind the rows' if index_later else 'kept up'}, connections 1", rate
        _drop(connections, market)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    connections = Connections.resolve()
    found: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for what, rate in lines(connections, arguments.steps):
            found.setdefault(what, []).append(rate)
    for what, rates in found.items():
        print(f"{what:48}", *(f"{rate:10,.0f}" for rate in rates), "ticks/s")


if __name__ == "__main__":
    main()
