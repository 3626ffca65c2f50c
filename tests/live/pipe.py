"""A fed market and its workers, for tests that look at what came out of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql

from pseudofeed.bus.markets import MarketRecord, register_market
from pseudofeed.bus.topics import ensure_topic, topic_config
from pseudofeed.consume import WorkerSummary
from pseudofeed.encode import instrument_partitions
from pseudofeed.errors import PseudofeedError
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress
from pseudofeed.publish.producer import Producer
from pseudofeed.records import FACTOR, TICK
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

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
    factors: bool = False,
) -> MarketRecord:
    """A new market with the steps 1 to `steps` in its topic; factors: in theirs, too."""
    market = Market.sample(instruments=instruments, factors=2, seed=11, name=name, step="1s", start=start)
    record = register_market(connections.require_kafka(), market, partitions)
    ensure_topic(connections.require_kafka(), TICK.topic_of(name), partitions, topic_config(TICK))
    if factors:
        ensure_topic(connections.require_kafka(), FACTOR.topic_of(name), 1, topic_config(FACTOR))
    if steps:
        feed_steps(connections, record, first=1, steps=steps, factors=factors)
    return record


def feed_steps(
    connections: Connections, record: MarketRecord, *, first: int, steps: int, factors: bool = False
) -> None:
    """The steps from `first` on, in messages of 140 ticks at most: many messages, so many places to be killed at."""
    with feeding(connections, record, after=first - 1, factors=factors) as producer:
        for block in record.market.stream(start_step=first, steps=steps, block_steps=20):
            if factors:
                producer.publish_factors(block)
            producer.publish(block)
        assert producer.flush() == 0


@contextmanager
def feeding(
    connections: Connections, record: MarketRecord, *, after: int, block_ticks: int = 140, factors: bool = False
) -> Iterator[Producer]:
    """A producer that takes the steps after `after`; of factors, all steps."""
    market = record.market
    with Producer(
        connections.require_kafka(),
        TICK.topic_of(record.name),
        symbols=market.symbols,
        partitions=instrument_partitions(market.symbols, record.partitions),
        partition_count=record.partitions,
        fingerprint=record.fingerprint,
        factor_topic=FACTOR.topic_of(record.name) if factors else "",
        factors=len(market.factors.names),
        block_ticks=block_ticks,
    ) as producer:
        producer.begin(steps=np.full(record.partitions, after))
        yield producer


class SteadyFeed:
    """Feeds a market's steps after `step` at a pace, in a thread, until it is stopped; `step` is the newest then."""

    def __init__(self, connections: Connections, record: MarketRecord, *, step: int, steps_a_second: int) -> None:
        self.step = step
        self._connections, self._record, self._pace = connections, record, steps_a_second
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def stop(self) -> int:
        self._stopping.set()
        self._thread.join()
        return self.step

    def _feed(self) -> None:
        with feeding(self._connections, self._record, after=self.step) as producer:
            for block in self._record.market.stream(start_step=self.step + 1, block_steps=10):
                if self._stopping.wait(10 / self._pace):
                    break
                producer.publish(block)
                self.step += 10
            assert producer.flush() == 0


class Working:
    """A store worker in a thread, in small batches, until it is told to drain; `problem` is what it ended with."""

    def __init__(self, record: MarketRecord, connections: Connections) -> None:
        self.problem: PseudofeedError | None = None
        self._control = Until(draining=False)
        self._summary: WorkerSummary | None = None
        self._thread = threading.Thread(target=self._work, args=(record, connections))
        self._thread.start()

    def _work(self, record: MarketRecord, connections: Connections) -> None:
        try:
            self._summary = store_market(record, connections, self._control, batch_rows=300, batch_seconds=0.01)
        except PseudofeedError as problem:
            print(f"the worker ended: {problem}")  # for a test that waits for what it would have done
            self.problem = problem

    @property
    def stored(self) -> int:
        """Ticks so far."""
        return self._control.reported[-1].ticks if self._control.reported else 0

    def drained(self) -> WorkerSummary:
        self._control.draining = True
        self._thread.join()
        assert self.problem is None
        assert self._summary is not None
        return self._summary

    def failed(self) -> PseudofeedError:
        """What it ends with by itself."""
        self._thread.join(60)
        assert self.problem is not None, "the worker goes on, or ended without a problem"
        return self.problem

    def stop(self) -> None:
        self._control.stopping = True
        self._thread.join()


@contextmanager
def working(record: MarketRecord, connections: Connections) -> Iterator[Working]:
    worker = Working(record, connections)
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def worker_process(connections: Connections, name: str, call: str) -> Iterator[subprocess.Popen[bytes]]:
    """`call` (an expression over `record`, `connections`, `control`) in a process of its own, killed at the end."""
    program = f"""
from pseudofeed.operate.control import SignalControl
from pseudofeed.bus.markets import read_market
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
    """Of the ticks: see `history_differences`."""
    market, paths = record.market, record.market.simulate(steps=steps)
    rows = (
        (paths.time[j], symbol, paths.prices[j, i], paths.variances[j, i])
        for j in range(1, steps + 1)
        for i, symbol in enumerate(market.symbols)
    )
    return history_differences(connections, record, "tick_history", ("symbol", "price", "variance"), rows)


def history_differences(
    connections: Connections,
    record: MarketRecord,
    view: str,
    columns: tuple[str, str, str],
    simulated: Iterable[tuple[np.int64, str, np.float64, np.float64]],
) -> tuple[int, int, int]:
    """Rows of the store, how many of them the simulation has not, and how many of the simulation's the store has not.

    columns: of the view, beside the time: a name and two doubles. Compared by PostgreSQL with EXCEPT ALL, doubles by
    their bytes; the simulation's rows travel as text, so that no encoder of ours is on both sides.
    """
    name, first, second = columns
    with psycopg.connect(connections.require_postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        table = f"CREATE TEMP TABLE expected (time timestamptz, {name} text, {first} float8, {second} float8)"
        cursor.execute(table.encode())
        with cursor.copy("COPY expected FROM STDIN") as copy:
            for time_ns, of, *values in simulated:
                time = f"{np.datetime64(int(time_ns), 'ns')}+00"
                copy.write_row((time, of, *(repr(float(value)) for value in values)))
        listed = f"time, {name}, float8send({first}), float8send({second})"
        stored = f"SELECT {listed} FROM {view} WHERE market = '{record.name}'"
        expected = f"SELECT {listed} FROM expected"
        counts = []
        for query in (stored, f"{stored} EXCEPT ALL {expected}", f"{expected} EXCEPT ALL {stored}"):
            row = cursor.execute(f"SELECT count(*) FROM ({query}) rows".encode()).fetchone()
            assert row is not None
            counts.append(int(row[0]))
    return counts[0], counts[1], counts[2]


def bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.ascontiguousarray(values).view(np.int64)


def wait_for_log(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Until it was logged."""
    deadline = time.monotonic() + 120
    while text not in caplog.text:
        assert time.monotonic() < deadline, f"nobody said {text!r} for 120 s"
        time.sleep(0.05)


def set_read_only(dsn: str, on: bool) -> None:
    """Make a database read-only, or writable again, for whoever connects from now on, and end all other sessions."""
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute("SET default_transaction_read_only = off")  # for this session, which has to write
        change = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        server.execute(change.format(sql.Identifier(server.info.dbname), sql.Literal(on)))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
