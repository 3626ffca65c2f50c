"""The store keeps every tick exactly once, whatever is killed, and refuses what it cannot continue."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from live.pipe import Until, fed_market, feed_steps
from pseudofeed.bus.markets import MarketRecord, register_market
from pseudofeed.bus.topics import TopicInfo, delete_topic, ensure_topic, topic_config
from pseudofeed.consume import Batch
from pseudofeed.errors import MarketChanged, OffsetConflict, ServerError, StoreError, TopicError
from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.store.sink import StoreSink
from pseudofeed.store.worker import prepare_store, store_market

MEMBERS = ((2, 3), (0, 1))  # of the partitions 0 and 1 of `record`'s market
TOPIC = TopicInfo("topic-1", np.zeros(3, np.int64), np.full(3, 1_000, np.int64))


# --- one sink and another, without Kafka between --------------------------------------------------------------------


@pytest.fixture
def record(market_name: str) -> MarketRecord:
    market = Market.sample(instruments=4, factors=2, seed=3, name=market_name, start="2026-03-02T14:30:00Z")
    return MarketRecord(market_name, dict(market.specification), 3, 1_700_000_000_000, market.fingerprint)


def _sink(connections: Connections, record: MarketRecord) -> StoreSink:
    market, tier = prepare_store(record, connections)
    return StoreSink(connections, market, tier, TICK)


def _batch(
    first: int, steps: int, *, offset: int = 0, partition: int = 0, members: tuple[int, int] | None = None
) -> Batch:
    """The two instruments of a partition, `steps` steps, as one message at `offset`."""
    sequence = np.repeat(np.arange(first, first + steps), 2)
    columns = Columns(
        TICK,
        1_772_461_800_000_000_000 + sequence * 1_000_000_000,
        sequence,
        np.tile(np.array(members or MEMBERS[partition], np.int32), steps),
        sequence.astype(np.float64) + 0.5,
        sequence / 7,
    )
    return Batch(partition, offset, offset + 1, columns)


def _at(columns: Columns, time: NDArray[np.int64]) -> Columns:
    """The same rows at other times."""
    return Columns(columns.kind, time, *columns.arrays[1:])


def _rows(connections: Connections) -> int:
    with psycopg.connect(connections.require_postgres()) as connection:
        row = connection.execute("SELECT count(*) FROM tick").fetchone()
    assert row is not None
    return int(row[0])


def test_a_zombie_writes_nothing(store_connections: Connections, record: MarketRecord) -> None:
    zombie, successor = _sink(store_connections, record), _sink(store_connections, record)
    assert zombie.positions(TOPIC, [0, 1]) == {0: 0, 1: 0}
    assert successor.positions(TOPIC, [0]) == {0: 0}
    successor.write([_batch(1, 10)])
    with pytest.raises(OffsetConflict):
        zombie.write([_batch(1, 10, partition=1), _batch(1, 10)])
    assert _rows(store_connections) == 20
    assert zombie.positions(TOPIC, [0, 1]) == {0: 1, 1: 0}
    zombie.write([_batch(11, 5, offset=1), _batch(1, 10, partition=1)])
    assert _rows(store_connections) == 50
    zombie.close()
    successor.close()


@pytest.mark.parametrize("answered", [True, False])
def test_a_commit_without_an_answer_is_settled(
    plain_connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    """The connection breaks before (answered) or after COMMIT took effect: the batch is in once, either way."""
    sink = _sink(plain_connections, record)
    sink.positions(TOPIC, [0])
    commit = StoreSink._commit
    calls = []

    def breaking(
        self: StoreSink, connection: psycopg.Connection, batches: list[Batch], columns: Columns, rows: bytes
    ) -> None:
        calls.append(batches)
        if len(calls) > 1:
            commit(self, connection, batches, columns, rows)
            return
        if not answered:
            commit(self, connection, batches, columns, rows)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(StoreSink, "_commit", breaking)
    sink.write([_batch(1, 10)])
    assert len(calls) == (2 if answered else 1)
    assert _rows(plain_connections) == 20
    sink.close()


def test_a_terminated_session_costs_nothing(store_connections: Connections, record: MarketRecord) -> None:
    sink = _sink(store_connections, record)
    sink.positions(TOPIC, [0])
    sink.write([_batch(1, 10)])
    with psycopg.connect(store_connections.require_postgres(), autocommit=True) as other:
        ended = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'pseudofeed store%'"
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 1
    sink.write([_batch(11, 10, offset=1)])
    assert _rows(store_connections) == 40
    sink.close()


def test_lost_and_repeated_steps_are_refused(plain_connections: Connections, record: MarketRecord) -> None:
    sink = _sink(plain_connections, record)
    sink.positions(TOPIC, [0])
    with pytest.raises(TopicError, match="expected step 1 of instrument 2, found step 2 of instrument 2"):
        sink.write([_batch(2, 10)])
    sink.write([_batch(1, 10)])
    for first in (10, 12):
        with pytest.raises(TopicError, match=f"expected step 11 of instrument 2, found step {first} of instrument 2"):
            sink.write([_batch(first, 5, offset=1)])
    assert _rows(plain_connections) == 20
    sink.close()


def test_a_time_that_no_store_can_hold_is_refused(plain_connections: Connections, record: MarketRecord) -> None:
    sink = _sink(plain_connections, record)
    sink.positions(TOPIC, [0])
    batch = _batch(1, 10)
    with pytest.raises(TopicError, match="microsecond"):
        sink.write([replace(batch, columns=_at(batch.columns, batch.columns.time + 1))])
    assert _rows(plain_connections) == 0
    sink.close()


def test_two_markets_of_other_steps_share_chunks(store_connections: Connections, market_name: str) -> None:
    """A market of days meets the chunks of one of microseconds, and the other way round, at the same time of year."""
    sinks = {}
    for step, epoch in (("1us", 1), ("1d", 2), ("1s", 3)):
        name = f"{market_name}-{step}"
        market = Market.sample(instruments=2, factors=1, seed=3, name=name, step=step, start="2026-03-02T14:30:00Z")
        record = MarketRecord(name, dict(market.specification), 1, epoch, market.fingerprint)
        sinks[step] = (_sink(store_connections, record), market)
    for offset, (first, steps) in enumerate(((1, 400), (401, 4_000))):
        for sink, market in sinks.values():
            sink.positions(TOPIC, [0])
            batch = _batch(first, steps, offset=offset, members=(0, 1))
            columns = _at(batch.columns, np.repeat(market.clock.times(first, steps), 2))
            sink.write([replace(batch, columns=columns)])
    assert _rows(store_connections) == 3 * 4_400 * 2
    for sink, _ in sinks.values():
        sink.close()
    with psycopg.connect(store_connections.require_postgres()) as connection:
        row = connection.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'tick'::regclass").fetchone()
    assert row is not None
    assert 2 <= row[0] <= 12


def test_several_workers_may_make_the_store_at_once(store_connections: Connections, record: MarketRecord) -> None:
    found: list[int] = []
    workers = [
        threading.Thread(target=lambda: found.append(prepare_store(record, store_connections)[0].market_id))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [1, 1, 1, 1]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_recreated_topic_is_refused(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=100)
    store_market(record, plain_connections, Until())
    kafka = plain_connections.require_kafka()
    delete_topic(kafka, TICK.topic_of(market_name))
    ensure_topic(kafka, TICK.topic_of(market_name), record.partitions, topic_config(TICK))
    feed_steps(plain_connections, record, first=1, steps=200)
    with pytest.raises(TopicError, match="deleted and recreated"):
        store_market(record, plain_connections, Until())
    assert _rows(plain_connections) == 100 * 20


def test_retention_that_overtook_the_store_is_refused(plain_connections: Connections, record: MarketRecord) -> None:
    sink = _sink(plain_connections, record)
    sink.positions(TOPIC, [0])
    later = TopicInfo("topic-1", np.full(3, 5, np.int64), np.full(3, 1_000, np.int64))
    with pytest.raises(TopicError, match="5 messages were deleted before they were read"):
        sink.positions(later, [0])
    truncated = TopicInfo("topic-1", np.zeros(3, np.int64), np.zeros(3, np.int64))
    sink.write([_batch(1, 10)])
    with pytest.raises(TopicError, match="the topic ends at 0"):
        sink.positions(truncated, [0])
    sink.close()


def test_a_changed_market_is_refused(plain_connections: Connections, record: MarketRecord) -> None:
    prepare_store(record, plain_connections)
    changed = Market.sample(instruments=4, factors=2, seed=4, name=record.name, start="2026-03-02T14:30:00Z")
    other = replace(record, specification=dict(changed.specification), fingerprint=changed.fingerprint)
    with pytest.raises(MarketChanged, match="seed: 3 -> 4"):
        prepare_store(other, plain_connections)
    with pytest.raises(TopicError, match="registered in Kafka again"):
        prepare_store(replace(record, epoch=record.epoch + 1), plain_connections)


def test_steps_below_a_microsecond_are_refused_before_anything_is_made(
    plain_connections: Connections, market_name: str
) -> None:
    market = Market.sample(instruments=2, factors=1, name=market_name, step="1500ns", start="2026-03-02T14:30:00Z")
    record = register_market(plain_connections.require_kafka(), market, 1)
    with pytest.raises(StoreError, match="microsecond"):
        store_market(record, plain_connections, Until())
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        assert connection.execute("SELECT to_regclass('market')").fetchone() == (None,)


def _refusing_postgres() -> tuple[socket.socket, int]:
    """A server that answers every start-up with 28P01, as PostgreSQL does to a wrong password."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                text = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "ann"\0\0'
                client.sendall(b"E" + struct.pack(">i", len(text) + 4) + text)

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def test_no_server_and_a_wrong_password_are_named_without_secrets(
    connections: Connections, record: MarketRecord
) -> None:
    listener, port = _refusing_postgres()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    for at, reason in ((port, 'user "ann"'), (nobody, "refused")):
        dsn = f"postgresql://ann:marker-word@127.0.0.1:{at}/market?sslmode=disable"
        begun = time.monotonic()
        with pytest.raises(ServerError) as caught:
            store_market(record, replace(connections, postgres=dsn), Until())
        assert time.monotonic() - begun < 6
        text = str(caught.value)
        assert f"127.0.0.1:{at}" in text
        assert reason in text
        assert "PSEUDOFEED_POSTGRES" in text
        assert "marker-word" not in text + repr(caught.value.__cause__)
    listener.close()


def test_a_read_only_server_is_named(plain_connections: Connections, record: MarketRecord) -> None:
    dsn = plain_connections.require_postgres() + " options='-c default_transaction_read_only=on'"
    if "://" in dsn:
        dsn = plain_connections.require_postgres() + "?options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(ServerError, match="read-only"):
        prepare_store(record, replace(plain_connections, postgres=dsn))
