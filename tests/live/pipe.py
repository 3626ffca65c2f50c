"""A fed market and its workers, for tests that look at what came out of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
from numpy.typing import NDArray

from pseudofeed.control import Progress
from pseudofeed.encode import instrument_partitions
from pseudofeed.market import Market
from pseudofeed.publish.markets import MarketRecord, register_market
from pseudofeed.publish.producer import Producer
from pseudofeed.publish.topics import TICK_TOPIC_CONFIG, ensure_topic, tick_topic
from pseudofeed.settings import Connections

START = "2026-03-02T14:30:00Z"


class Until:
    """A control that drains (the default) or stops when it is told to."""

    def __init__(self, *, draining: bool = True) -> None:
        self.stopping = False
        self.draining = draining
        self.reported: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.reported.append(progress)


def fed_market(
    connections: Connections,
    name: str,
    *,
    steps: int,
    instruments: int = 20,
    partitions: int = 3,
    start: str = START,
) -> MarketRecord:
    """A new market with the steps 1 to `steps` in its topic."""
    market = Market.sample(instruments=instruments, factors=2, seed=11, name=name, step="1s", start=start)
    record = register_market(connections.require_kafka(), market, partitions)
    ensure_topic(connections.require_kafka(), tick_topic(name), partitions, TICK_TOPIC_CONFIG)
    feed_steps(connections, record, first=1, steps=steps)
    return record


def feed_steps(connections: Connections, record: MarketRecord, *, first: int, steps: int) -> None:
    """The steps from `first` on, in messages of 140 ticks at most: many messages, so many places to be killed at."""
    market = record.market
    with Producer(
        connections.require_kafka(),
        tick_topic(record.name),
        partitions=instrument_partitions(market.symbols, record.partitions),
        partition_count=record.partitions,
        fingerprint=record.fingerprint,
        block_ticks=140,
    ) as producer:
        for block in market.stream(start_step=first, steps=steps, block_steps=20):
            producer.publish(block, published=np.full(record.partitions, first - 1, np.int64))
        assert producer.flush() == 0


@contextmanager
def worker_process(connections: Connections, name: str, call: str) -> Iterator[subprocess.Popen[bytes]]:
    """`call` (an expression over `record`, `connections`, `control`) in a process of its own, killed at the end."""
    program = f"""
from pseudofeed.control import SignalControl
from pseudofeed.publish.markets import read_market
from pseudofeed.settings import Connections
from pseudofeed.cache.worker import cache_market
from pseudofeed.store.worker import store_market
connections = Connections.resolve()
record = read_market(connections.require_kafka(), {name!r})
control = SignalControl().listen()
{call}
"""
    settings = {
        "PSEUDOFEED_KAFKA": connections.require_kafka()["bootstrap.servers"],
        "PSEUDOFEED_REDIS": connections.require_redis(),
        "PSEUDOFEED_POSTGRES": connections.require_postgres(),
    }
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, **settings})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def differences(connections: Connections, record: MarketRecord, steps: int) -> tuple[int, int, int]:
    """Rows of the store, how many of them the simulation has not, and how many of the simulation's the store has not.

    Compared by PostgreSQL with EXCEPT ALL, doubles by their bytes; the simulation's rows travel as text, so that
    no encoder of ours is on both sides.
    """
    market = record.market
    paths = market.simulate(steps=steps)
    with psycopg.connect(connections.require_postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("CREATE TEMP TABLE expected (time timestamptz, symbol text, price float8, variance float8)")
        with cursor.copy("COPY expected FROM STDIN") as copy:
            for j in range(1, steps + 1):
                time = f"{np.datetime64(int(paths.time[j]), 'ns')}+00"
                for i, symbol in enumerate(market.symbols):
                    copy.write_row((time, symbol, repr(float(paths.prices[j, i])), repr(float(paths.variances[j, i]))))
        columns = "time, symbol, float8send(price), float8send(variance)"
        stored = f"SELECT {columns} FROM quote_history WHERE market = '{record.name}'"
        expected = f"SELECT {columns} FROM expected"
        counts = []
        for query in (stored, f"{stored} EXCEPT ALL {expected}", f"{expected} EXCEPT ALL {stored}"):
            row = cursor.execute(f"SELECT count(*) FROM ({query}) rows".encode()).fetchone()
            assert row is not None
            counts.append(int(row[0]))
    return counts[0], counts[1], counts[2]


def bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.ascontiguousarray(values).view(np.int64)
