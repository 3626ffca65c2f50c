"""T4, T7, T12: servers that are killed, frozen, gone or full; the store waits, and every tick is stored once."""

from __future__ import annotations

import random
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from live.own_servers import own_broker, own_postgres, small_disk
from live.pipe import (
    SteadyFeed,
    differences,
    fed_market,
    feed_steps,
    feeding,
    set_read_only,
    wait_for_log,
    working,
)
from live.warm import ASSIGNED, LOST, Orders, warm_workers
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import describe
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.store.worker import prepare_store
from pseudofeed.verify import verify_market

INSTRUMENTS = 20
KILLS = 5


def _stored(dsn: str) -> int:
    """The sum of all partitions' offsets; 0 where there is no store yet."""
    with psycopg.connect(dsn) as connection:
        try:
            row = connection.execute("SELECT coalesce(sum(next_offset), 0)::int8 FROM sink_offset").fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    return 0 if row is None else int(row[0])


def _wait_for_more(dsn: str, than: int) -> int:
    deadline = time.monotonic() + 120
    while (stored := _stored(dsn)) <= than:
        assert time.monotonic() < deadline, "nothing was stored for 120 s"
        time.sleep(0.02)
    return stored


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("synchronous", ["on", "off"])
def test_a_killed_postgres_costs_no_tick(
    connections: Connections, market_name: str, repeats: Callable[[int], int], synchronous: str
) -> None:
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    record = fed_market(connections, market_name, steps=20, instruments=INSTRUMENTS)
    with own_postgres() as (server, dsn):
        dsn = make_conninfo(dsn, options=f"-c synchronous_commit={synchronous}")
        own = replace(connections, postgres=dsn)
        with working(record, own) as worker:
            feed = SteadyFeed(own, record, step=20, steps_a_second=200)
            try:
                stored = 0
                for kill in range(repeats(KILLS)):
                    stored = _wait_for_more(dsn, stored)
                    time.sleep(moments.uniform(0, 0.3))
                    server.kill()
                    # Once it is away for longer than the longest back-off.
                    time.sleep(0 if kill else repeats(6))
                    server.start()
            finally:
                steps = feed.stop()
            worker.drained()
        assert differences(own, record, steps) == (steps * INSTRUMENTS, 0, 0)


def test_a_market_is_registered_for_good_whatever_the_server_puts_off(
    connections: Connections, market_name: str
) -> None:
    record = fed_market(connections, market_name, steps=1)
    with own_postgres() as (server, dsn):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("SELECT pg_reload_conf()")
        prepare_store(record, replace(connections, postgres=dsn))
        server.kill()
        server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT name FROM market").fetchall() == [(market_name,)]


@pytest.mark.time_limit(400)
def test_a_killed_broker_costs_no_tick(
    plain_connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    with own_broker() as broker:
        own = replace(plain_connections, kafka=broker.kafka)
        record = fed_market(own, market_name, steps=100, instruments=INSTRUMENTS)
        steps = 100
        with working(record, own) as worker:
            stored = 0
            for _ in range(repeats(KILLS)):
                feed_steps(own, record, first=steps + 1, steps=100)
                steps += 100
                stored = _wait_for_more(own.require_postgres(), stored)
                broker.kill()
                broker.start()
            worker.drained()
        assert differences(own, record, steps) == (steps * INSTRUMENTS, 0, 0)


@pytest.mark.time_limit(120)
def test_a_frozen_postgres_holds_the_input_back(
    connections: Connections, market_name: str, tmp_path: Path, repeats: Callable[[int], int]
) -> None:
    """It is away for longer than the worker can buffer; memory stays, the group is not left, and all is caught up."""
    megabyte = 2**20
    steps, instruments = 10_000, 400  # 64 MB of messages, 4 million ticks
    record = fed_market(connections, market_name, steps=20, instruments=instruments)
    notes = tmp_path / "notes"
    with own_postgres() as (server, dsn):
        own = replace(connections, postgres=dsn)
        with warm_workers(own, record) as workers:
            pid = workers.start(
                Orders(draining=False, consume=1_000, batch_rows=20_000, batch_seconds=0.1, notes=str(notes))
            )
            _wait_for_more(dsn, 0)
            server.signal(signal.SIGSTOP)
            begun = time.monotonic()
            before = psutil.Process(pid).memory_info().rss
            with feeding(connections, record, after=20, block_ticks=4_000) as producer:
                for block in record.market.stream(start_step=21, steps=steps, block_steps=100):
                    producer.publish(block)
                assert producer.flush() == 0
            time.sleep(max(0.0, begun + repeats(10) - time.monotonic()))
            grown = psutil.Process(pid).memory_info().rss - before
            print(f"{grown / megabyte:.0f} MB more while PostgreSQL was away")
            # 16 MB of messages in librdkafka's queue, overshot by a fetch of 8 MB, a batch or two a lane, and what the
            # allocator keeps: 12 to 37 MB.
            assert grown < 45 * megabyte
            server.signal(signal.SIGCONT)
            assert psutil.pid_exists(pid)
            high = _ends(own, record)
            deadline = time.monotonic() + 60 * repeats(1)
            while _stored(dsn) < high:
                assert time.monotonic() < deadline, "the lag does not go back to 0"
                time.sleep(0.1)
            assert workers.end(pid) == 0
        report = verify_market(record, own, stages=["postgres"])
        assert (report.stages["postgres"].equal, report.steps) == (True, steps + 20)
    words = notes.read_text().split()
    assert (words.count(ASSIGNED), words.count(LOST)) == (1, 0)


def _ends(connections: Connections, record: MarketRecord) -> int:
    return int(describe(connections.require_kafka(), TICK.topic_of(record.name)).high.sum())


def test_a_server_that_is_read_only_for_a_while_is_waited_for(
    plain_connections: Connections, market_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = plain_connections.require_postgres()
    record = fed_market(plain_connections, market_name, steps=100, instruments=INSTRUMENTS)
    with working(record, plain_connections) as worker:
        stored = _wait_for_more(dsn, 0)
        set_read_only(dsn, True)
        feed_steps(plain_connections, record, first=101, steps=100)
        wait_for_log(caplog, "is read-only")
        set_read_only(dsn, False)
        _wait_for_more(dsn, stored)
        worker.drained()
    assert differences(plain_connections, record, 200) == (200 * INSTRUMENTS, 0, 0)


@pytest.mark.time_limit(120)
def test_a_full_disk_is_waited_for(
    connections: Connections, market_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = fed_market(connections, market_name, steps=200, instruments=INSTRUMENTS)
    with own_postgres() as (_, dsn), small_disk() as disk:
        own = replace(connections, postgres=disk.database(dsn))
        with working(record, own) as worker:
            stored = _wait_for_more(own.require_postgres(), 0)
            disk.fill()
            feed_steps(own, record, first=201, steps=2_000)
            wait_for_log(caplog, "Retrying")
            disk.make_room()
            _wait_for_more(own.require_postgres(), stored)
            worker.drained()
        assert differences(own, record, 2_200) == (2_200 * INSTRUMENTS, 0, 0)
    complaint = next(r.getMessage() for r in caplog.records if "Retrying" in r.getMessage())
    assert "No space left on device. Make room" in complaint
    assert "nothing is lost" in complaint
