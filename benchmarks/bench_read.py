"""Reading: newest quotes from Redis, and history from a table of 21 million ticks, each beside what others would write.

The table is loaded by COPY once, into a database of its own (pseudofeed_bench_read) that stays: 100 instruments, nine
sessions of 23,400 ticks. Beside the store's hypertable (or partitions) with its index (instrument_id, time) stands
plain_tick, the same rows in one table with an index on time. Needs PSEUDOFEED_KAFKA, PSEUDOFEED_REDIS and
PSEUDOFEED_POSTGRES (`make bench` sets them).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
from psycopg.conninfo import make_conninfo
from pytest_benchmark.fixture import BenchmarkFixture

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.cache.keys import quote_key
from pseudofeed.cache.quotes import FIELDS
from pseudofeed.encode import encode_copy_rows, instrument_partitions
from pseudofeed.market import Market
from pseudofeed.query.client import Client
from pseudofeed.query.stored import BARS, TICKS
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.registry import StoredMarket, register_in_store
from pseudofeed.store.schema import migrate
from pseudofeed.store.settings import StoreSettings, change_settings

INSTRUMENTS, DAYS, DAY = 100, 9, 23_400
DATABASE = "pseudofeed_bench_read"
FROM, TO = "2026-03-09 00:00+00", "2026-03-10 00:00+00"  # one session in the middle

pytestmark = pytest.mark.skipif(
    not {"PSEUDOFEED_REDIS", "PSEUDOFEED_POSTGRES"} <= os.environ.keys(), reason="needs the servers' variables"
)


def _market(instruments: int) -> Market:
    specification = dict(
        Market.sample(instruments=instruments, factors=3, seed=7, name=f"bench-read-{instruments}").specification
    )
    clock = {"start": "2026-03-02T14:30:00Z", "step": "1s", "calendar": "XNYS", "overnight_variance": 0.0}
    return Market.from_specification({**specification, "clock": {**specification["clock"], **clock}}).settled()


@pytest.fixture(scope="module")
def connections() -> Connections:
    found = Connections.resolve()
    with psycopg.connect(found.require_postgres(), autocommit=True) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            server.execute(f"CREATE DATABASE {DATABASE}")
    own = replace(found, kafka=None, postgres=make_conninfo(found.require_postgres(), dbname=DATABASE))
    with psycopg.connect(own.require_postgres(), autocommit=True) as server:
        if server.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone():
            server.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    _load(own)
    return own


def _load(connections: Connections) -> StoredMarket:
    market = _market(INSTRUMENTS)
    record = MarketRecord(market.name, dict(market.specification), 1, 1, market.fingerprint)
    with open_connection(connections, application="bench", writer=True) as connection:
        connection.execute("SET statement_timeout = 0")
        tier = migrate(connection)
        stored = register_in_store(connection, record)
        if connection.execute("SELECT to_regclass('plain_tick')").fetchone() != (None,):
            return stored
        connection.execute("TRUNCATE tick")
        change_settings(connection, stored, StoreSettings(chunk_length="1d"))
        chunks = Chunks(tier, TICK, stored)
        number = np.arange(INSTRUMENTS, dtype=np.int32)
        for block in market.stream(steps=DAYS * DAY, block_steps=DAY // 4):
            steps = len(block.time)
            columns = Columns(
                TICK,
                np.repeat(block.time, INSTRUMENTS),
                np.repeat(np.arange(block.first_step, block.last_step + 1), INSTRUMENTS),
                np.tile(number, steps),
                block.prices.ravel(),
                block.variances.ravel(),
            )
            chunks.make(connection, block.time)
            with connection.cursor().copy("COPY tick FROM STDIN (FORMAT binary)") as copy:
                copy.write(memoryview(encode_copy_rows(columns, stored.instrument_ids)))
        connection.execute("CREATE TABLE plain_tick_new AS SELECT * FROM tick")
        connection.execute("CREATE INDEX plain_tick_time_idx ON plain_tick_new (time)")
        connection.execute("VACUUM ANALYZE tick")
        connection.execute("VACUUM ANALYZE plain_tick_new")
        connection.execute("ALTER TABLE plain_tick_new RENAME TO plain_tick")
        return stored


@pytest.fixture(scope="module")
def client(connections: Connections) -> Iterator[Client]:
    with Client(f"bench-read-{INSTRUMENTS}", connections) as client:
        yield client


@pytest.fixture(scope="module")
def plain(connections: Connections) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    """A query of ours against plain_tick, as psycopg hands it out."""
    with psycopg.connect(connections.require_postgres(), autocommit=True) as connection:
        ids = [row[0] for row in connection.execute("SELECT instrument_id FROM instrument ORDER BY 1")]
        values = {"id": ids[17], "ids": ids, "every": 60_000_000, "start": FROM, "end": TO}

        def rows(query: str) -> list[tuple[object, ...]]:
            cursor = connection.cursor(binary=True)
            return cursor.execute(query.replace(" tick", " plain_tick").encode(), values).fetchall()

        yield rows


def _frame(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["time", "price", "variance"]).set_index("time")


@pytest.mark.parametrize("who", ["pseudofeed", "psycopg, plain table"])
def test_a_day_as_a_frame(
    benchmark: BenchmarkFixture, client: Client, plain: Callable[..., list[tuple[object, ...]]], who: str
) -> None:
    symbol = client.market.symbols[17]
    benchmark.group = "a day of one instrument, 23,400 ticks, as a DataFrame"
    read = (lambda: client.ticks(symbol, FROM, TO)) if who == "pseudofeed" else (lambda: _frame(plain(TICKS)))
    assert len(benchmark.pedantic(read, rounds=20 if who == "pseudofeed" else 3, warmup_rounds=1)) == DAY


@pytest.mark.parametrize("who", ["pseudofeed", "psycopg, plain table"])
def test_a_day_of_bars(
    benchmark: BenchmarkFixture, client: Client, plain: Callable[..., list[tuple[object, ...]]], who: str
) -> None:
    symbol = client.market.symbols[17]
    benchmark.group = "one-minute bars of that day"
    read = (lambda: client.bars(symbol, "1min", FROM, TO)) if who == "pseudofeed" else (lambda: plain(BARS))
    assert len(benchmark.pedantic(read, rounds=20 if who == "pseudofeed" else 3, warmup_rounds=1)) == 391


@pytest.mark.parametrize("who", ["pseudofeed", "psycopg, plain table, its last minute"])
def test_newest_ticks_from_the_store(
    benchmark: BenchmarkFixture, client: Client, plain: Callable[..., list[tuple[object, ...]]], who: str
) -> None:
    benchmark.group = "the newest tick of each of 100 instruments, by SQL"
    # NEWEST would read all of plain_tick a hundred times.
    query = """SELECT DISTINCT ON (instrument_id) * FROM tick
               WHERE time > (SELECT max(time) FROM tick) - interval '1 minute' ORDER BY instrument_id, time DESC"""
    read = client.newest_stored if who == "pseudofeed" else (lambda: plain(query))
    assert len(benchmark.pedantic(read, rounds=20, warmup_rounds=1)) == INSTRUMENTS


@pytest.mark.parametrize("who", ["pseudofeed", "ADBC alone"])
def test_all_days_as_arrow(benchmark: BenchmarkFixture, client: Client, connections: Connections, who: str) -> None:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    benchmark.group = "all 210,600 ticks of one instrument as an Arrow table"
    symbol = client.market.symbols[17]
    with dbapi.connect(connections.require_postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT instrument_id FROM instrument WHERE number = 17")
        number = cursor.fetchone()[0]

        def alone() -> object:
            cursor.execute(f"SELECT time, price, variance FROM tick WHERE instrument_id = {number} ORDER BY time")
            return cursor.fetch_arrow_table()

        read = (lambda: client.ticks(symbol, arrow=True)) if who == "pseudofeed" else alone
        assert benchmark.pedantic(read, rounds=10, warmup_rounds=1).num_rows == DAYS * DAY


@pytest.fixture(scope="module")
def quoted(connections: Connections) -> Iterator[Client]:
    """1,000 quotes of a market that the store has no ticks of."""
    market = _market(1000)
    with open_connection(connections, application="bench", writer=True) as connection:
        register_in_store(connection, MarketRecord(market.name, dict(market.specification), 4, 1, market.fingerprint))
    with redis.Redis.from_url(connections.require_redis()) as server, Client(market.name, connections) as client:
        texts = ("7", "2026-03-02T14:30:07.000000000Z", "1772461807000000000", repr(100 / 3), repr(0.04 / 3))
        quote = dict(
            zip(FIELDS, (*texts, "2026-03-02T14:30:00Z", repr(100 / 7), repr(100 / 3), repr(100 / 9)), strict=True)
        )
        for key in _keys(market):
            server.hset(key, mapping={"epoch": "1", **quote})
        yield client
        server.delete(*_keys(market))


def _keys(market: Market) -> list[str]:
    partitions = instrument_partitions(market.symbols, 4).tolist()
    return [quote_key(market.name, p, symbol) for p, symbol in zip(partitions, market.symbols, strict=True)]


@pytest.mark.parametrize("who", ["redis-py, HGETALL", "pseudofeed, arrays", "pseudofeed, frame"])
def test_latest_of_one(benchmark: BenchmarkFixture, quoted: Client, connections: Connections, who: str) -> None:
    benchmark.group = "the newest quote of one instrument"
    symbol, key = quoted.market.symbols[500], _keys(quoted.market)[500]
    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as plain:
        read: dict[str, Callable[[], object]] = {
            "redis-py, HGETALL": lambda: plain.hgetall(key),
            "pseudofeed, arrays": lambda: quoted.latest(symbol, arrays=True),
            "pseudofeed, frame": lambda: quoted.latest(symbol),
        }
        assert len(benchmark.pedantic(read[who], rounds=2000, warmup_rounds=50)) > 0


@pytest.mark.parametrize("who", ["redis-py, a pipeline of HGETALL", "pseudofeed, arrays", "pseudofeed, frame"])
def test_latest_of_a_thousand(benchmark: BenchmarkFixture, quoted: Client, connections: Connections, who: str) -> None:
    benchmark.group = "the newest quotes of 1,000 instruments"
    keys = _keys(quoted.market)
    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as plain:

        def pipelined() -> object:
            pipeline = plain.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            return pipeline.execute()

        read: dict[str, Callable[[], object]] = {
            "redis-py, a pipeline of HGETALL": pipelined,
            "pseudofeed, arrays": lambda: quoted.latest(arrays=True),
            "pseudofeed, frame": quoted.latest,
        }
        assert len(benchmark.pedantic(read[who], rounds=50, warmup_rounds=2)) == 1000
