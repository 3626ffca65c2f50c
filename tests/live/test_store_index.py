"""The index of a chunk: behind its rows where they come in bulk, else from its beginning on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest

from live.pipe import Until, differences, fed_market
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch
from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns, Kind
from pseudofeed.settings import Connections
from pseudofeed.store import chunk_index
from pseudofeed.store.chunk_index import ChunkIndexer, make_index, unindexed_chunks
from pseudofeed.store.chunk_list import Chunk
from pseudofeed.store.schema import Tier, find_tier
from pseudofeed.store.settings import StoreSettings
from pseudofeed.store.sink import StoreSink
from pseudofeed.store.worker import prepare_store, store_market

MEMBERS = ((2, 3), (0, 1))  # of the partitions 0 and 1 of `record`'s market; partition 2 has none
TOPIC = TopicInfo("topic-1", np.zeros(3, np.int64), np.full(3, 1_000, np.int64))
STEPS = 20_000
HOUR = StoreSettings(chunk_length="1h")


@pytest.fixture
def record(market_name: str) -> MarketRecord:
    market = Market.sample(instruments=4, factors=2, seed=3, name=market_name, start="2026-03-02T14:30:00Z")
    return MarketRecord(market_name, dict(market.specification), 3, 1_700_000_000_000, market.fingerprint)


@contextmanager
def _worker(
    connections: Connections, record: MarketRecord, settings: StoreSettings | None = None
) -> Iterator[StoreSink]:
    """A sink and its indexer, as a worker has them; killed at the end, as far as they are concerned."""
    market, tier = prepare_store(record, connections, settings)
    indexer = ChunkIndexer(connections, market, tier, TICK, batch_seconds=0.5)
    sink = StoreSink(connections, market, tier, TICK, indexer=indexer, keeps_up=True)
    try:
        sink.positions(TOPIC, [0, 1])
        yield sink
    finally:
        indexer.close()
        sink.close()


def _batches(
    first: int, steps: int, *, offset: int, partitions: tuple[int, ...] = (0, 1), seconds: float = 0.5
) -> list[Batch]:
    """A message a partition; they took `seconds` to come."""
    sequence = np.repeat(np.arange(first, first + steps), 2)
    time = 1_772_461_800_000_000_000 + sequence * 1_000_000_000
    value = sequence.astype(np.float64)
    return [
        Batch(
            number,
            offset,
            offset + 1,
            Columns(TICK, time, sequence, np.tile(np.array(MEMBERS[number], np.int32), steps), value, value),
            seconds=seconds,
        )
        for number in partitions
    ]


def _lacking(connections: Connections) -> list[str]:
    """Opening times of the chunks without an index."""
    with psycopg.connect(connections.require_postgres()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return [f"{chunk.begin:%H:%M}" for chunk in unindexed_chunks(connection, find_tier(connection), TICK)]


@pytest.fixture(autouse=True)
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bulk once begun is not over, however slow the machine is."""
    monkeypatch.setattr(chunk_index, "QUIET_SECONDS", 1_000)
    monkeypatch.setattr(chunk_index, "LOOK_SECONDS", 0.05)


def _wait_until_lacking(connections: Connections, wanted: list[str]) -> None:
    """Until these chunks have no index, and the others have: as `_lacking` has them."""
    deadline = time.monotonic() + 20
    while _lacking(connections) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _lacking(connections) == wanted


def test_a_complete_chunk_is_indexed_amid_the_bulk_and_the_others_at_its_end(
    store_connections: Connections, record: MarketRecord
) -> None:
    """60,000 s from 14:30 are the hours from 14 to 7; of partition 1 come 55,000 s, up to 5:46."""
    with _worker(store_connections, record, HOUR) as sink:
        sink.write(_batches(1, 3 * STEPS, offset=0, partitions=(0,)))
        assert len(_lacking(store_connections)) == 18
        sink.write(_batches(1, 3 * STEPS - 5_000, offset=0, partitions=(1,)))
        _wait_until_lacking(store_connections, ["05:00", "06:00", "07:00"])
        assert sink.finish()
        assert _lacking(store_connections) == []


def test_when_the_bulk_is_over_every_chunk_is_indexed(
    store_connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _worker(store_connections, record) as sink:
        sink.write(_batches(1, STEPS, offset=0))
        assert len(_lacking(store_connections)) == 1
        monkeypatch.setattr(chunk_index, "QUIET_SECONDS", 0.1)
        _wait_until_lacking(store_connections, [])
        assert not sink.finish()


@pytest.mark.parametrize(("steps", "seconds", "lacking"), [(7_200, 0.9, 0), (STEPS, 0.9, 1), (7_200, 1.2, 1)])
def test_rows_come_in_bulk_if_they_are_many_or_had_to_wait(
    plain_connections: Connections, record: MarketRecord, steps: int, seconds: float, lacking: int
) -> None:
    """28,800 rows in 0.9 s are no bulk, 80,000 are; and 28,800 that could not be written for 1.2 s."""
    with _worker(plain_connections, record) as sink:
        sink.write(_batches(1, steps, offset=0, seconds=seconds))
        assert len(_lacking(plain_connections)) == lacking


def test_the_index_that_a_killed_worker_owes_is_made_by_the_next(
    store_connections: Connections, record: MarketRecord
) -> None:
    with _worker(store_connections, record) as killed:
        killed.write(_batches(1, STEPS, offset=0))
    assert len(_lacking(store_connections)) == 1
    with _worker(store_connections, record):
        _wait_until_lacking(store_connections, [])


def test_a_worker_that_drains_a_topic_in_bulk_leaves_an_index(
    store_connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fed_market(store_connections, market_name, steps=500)
    monkeypatch.setattr(chunk_index, "LEAST_ROWS", 0)
    monkeypatch.setattr(chunk_index, "BULK_RATE", 0)
    summary = store_market(record, store_connections, Until(), batch_rows=1_000)
    assert summary.ticks == 500 * 20
    assert _lacking(store_connections) == []
    assert differences(store_connections, record, 500) == (500 * 20, 0, 0)


def test_an_index_of_the_tables_own_is_kept_up(store_connections: Connections, record: MarketRecord) -> None:
    with _worker(store_connections, record) as sink:
        with psycopg.connect(store_connections.require_postgres(), autocommit=True) as connection:
            connection.execute("CREATE INDEX ON tick (instrument_id, time)")
        sink.write(_batches(1, STEPS, offset=0))
        assert _lacking(store_connections) == []
        assert not sink.finish()


def test_an_index_waits_for_who_is_writing_there(
    store_connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _worker(store_connections, record) as sink:
        sink.write(_batches(1, STEPS, offset=0))
    monkeypatch.setattr(chunk_index, "PATIENCE", "100ms")
    with psycopg.connect(store_connections.require_postgres(), autocommit=True) as connection:
        (chunk,) = unindexed_chunks(connection, find_tier(connection), TICK)
        with psycopg.connect(store_connections.require_postgres()) as writer:
            writer.execute("INSERT INTO tick VALUES ('2026-03-02 15:00Z', 1, 1, 1)")
            assert not make_index(connection, chunk, TICK)
            writer.rollback()
        assert make_index(connection, chunk, TICK)
    assert _lacking(store_connections) == []


def test_a_bulk_that_begins_while_the_indexer_looks_is_let_be(
    plain_connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, written = threading.Semaphore(0), threading.Event()

    def look(connection: psycopg.Connection, tier: Tier, kind: Kind) -> list[Chunk]:
        looks.release()
        assert written.wait(20)
        return unindexed_chunks(connection, tier, kind)

    monkeypatch.setattr(chunk_index, "unindexed_chunks", look)
    with _worker(plain_connections, record) as sink:
        try:
            assert looks.acquire(timeout=20)
            sink.write(_batches(1, STEPS, offset=0))
        finally:
            written.set()
        assert looks.acquire(timeout=20)
        assert len(_lacking(plain_connections)) == 1


def test_an_indexer_that_lost_its_connection_tries_again(
    store_connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_index, "PATIENCE", "60s")
    postgres = store_connections.require_postgres()
    with _worker(store_connections, record) as sink:
        sink.write(_batches(1, STEPS, offset=0))
        with psycopg.connect(postgres) as writer, psycopg.connect(postgres, autocommit=True) as other:
            writer.execute("INSERT INTO tick VALUES ('2026-03-02 15:00Z', 1, 1, 1)")
            monkeypatch.setattr(chunk_index, "QUIET_SECONDS", 0.1)
            deadline = time.monotonic() + 20
            while not other.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name LIKE 'pseudofeed index %' AND wait_event_type = 'Lock'
                   AND datname = current_database()"""
            ).fetchone():
                assert time.monotonic() < deadline, "the indexer does not wait for the chunk"
                time.sleep(0.02)
            writer.rollback()
        _wait_until_lacking(store_connections, [])


def test_old_ticks_are_seen_to_while_rows_keep_coming(store_connections: Connections, record: MarketRecord) -> None:
    with _worker(store_connections, record, StoreSettings(chunk_length="1h", retention="1h")) as sink:
        sink.write(_batches(1, STEPS, offset=0))
        with psycopg.connect(store_connections.require_postgres()) as connection:
            oldest = connection.execute("SELECT extract(hour FROM min(time AT TIME ZONE 'UTC')) FROM tick").fetchone()
    assert oldest == (19,)  # 20:03:20 is the newest
