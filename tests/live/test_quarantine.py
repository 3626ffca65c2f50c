"""Messages that cannot be read are kept aside with their offset and reason, and the store goes on behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from confluent_kafka import Producer

from live.commands import result, start
from live.pipe import START, Until, differences, fed_market, feed_steps
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch, Unreadable
from pseudofeed.errors import OffsetConflict, TopicError
from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.store.sink import StoreSink
from pseudofeed.store.worker import prepare_store, store_market

TICKS_A_STEP = 20  # instruments


def _values(connections: Connections, record: MarketRecord, partition: int) -> list[bytes]:
    with TopicReader(connections.require_kafka()) as reader:
        return [message.value() or b"" for message in reader.read(TICK.topic_of(record.name), {partition: 0})]


def _send(connections: Connections, record: MarketRecord, partition: int, values: list[bytes | None]) -> list[int]:
    """The offsets that the messages got."""
    producer = Producer(connections.require_kafka())
    offsets: list[int] = []
    for value in values:
        producer.produce(
            TICK.topic_of(record.name),
            value,
            partition=partition,
            on_delivery=lambda _, message: offsets.append(message.offset() or 0),
        )
    assert producer.flush(10) == 0
    return offsets


def _foreign(record: MarketRecord, connections: Connections) -> bytes:
    """A whole message of another market."""
    other = fed_market(connections, f"{record.name}-other", steps=1)
    return _values(connections, other, 0)[0]


def _quarantined(connections: Connections) -> list[tuple[int, int, bytes, str]]:
    with psycopg.connect(connections.require_postgres()) as connection:
        return connection.execute(
            """SELECT partition, "offset", message, reason FROM quarantine JOIN market USING (market_id)
               WHERE topic_id IS NOT NULL AND topic = 'ticks.' || name ORDER BY partition, "offset" """
        ).fetchall()


def test_damaged_messages_are_kept_aside_and_the_rest_is_stored(
    store_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    connections = store_connections
    record = fed_market(connections, market_name, steps=60)
    good = _values(connections, record, 0)[1]
    stray = _values(connections, record, 1)[1]
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 16
    damaged: list[bytes | None] = [
        good[:-1], good + b"\0", bytes(flipped), b"\xff" + good[1:], good[:20], b"\0\xff not ticks", None, stray,
        _foreign(record, connections),
    ]  # fmt: skip
    offsets = _send(connections, record, 0, damaged)
    # Behind a damaged message its own ticks are missing: here the steps 61 to 80 of every partition.
    lost = [(partition, _send(connections, record, partition, [good[:-2]])[0]) for partition in range(3)]
    feed_steps(connections, record, first=81, steps=40)

    summary = store_market(record, connections, Until(), batch_rows=300)
    assert (summary.ticks, summary.unreadable) == (100 * TICKS_A_STEP, len(damaged) + 3)
    assert differences(connections, record, 120) == (100 * TICKS_A_STEP, 0, 20 * TICKS_A_STEP)
    found = _quarantined(connections)
    assert [(partition, offset) for partition, offset, _, _ in found] == sorted(
        [(0, offset) for offset in offsets] + lost
    )
    assert [message for partition, _, message, _ in found if partition == 0] == [
        *(value or b"" for value in damaged), good[:-2],
    ]  # fmt: skip
    assert all(reason for *_, reason in found)
    assert "fingerprint" in found[len(damaged) - 1][3]

    report = result(start(connections, tmp_path, "verify", market_name, "--stage", "postgres", "--json"), code=1)
    assert (report["postgres"]["quarantined"], report["postgres"]["missing"]) == (len(found), 20 * TICKS_A_STEP)
    _send(connections, record, 1, [b"one more"])
    process = start(connections, tmp_path, "store", market_name, "--until-caught-up")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "1 message could not be read: see the table quarantine" in out


def test_a_topic_that_begins_with_another_markets_ticks_is_refused(
    plain_connections: Connections, market_name: str
) -> None:
    record = fed_market(plain_connections, market_name, steps=0)
    stranger = _foreign(record, plain_connections)
    _send(plain_connections, record, 0, [stranger] * 3)
    with pytest.raises(TopicError, match=r"partition 0 offset 0: .*fingerprint.* begins with another market's ticks"):
        store_market(record, plain_connections, Until())
    assert _quarantined(plain_connections) == []
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        assert connection.execute("SELECT max(next_offset) FROM sink_offset").fetchone() == (0,)


@pytest.fixture
def one(plain_connections: Connections, market_name: str) -> MarketRecord:
    """A market of one instrument and one partition."""
    market = Market.sample(instruments=1, factors=1, seed=3, name=market_name, start=START)
    record = MarketRecord(market_name, dict(market.specification), 1, 1_700_000_000_000, market.fingerprint)
    prepare_store(record, plain_connections)
    return record


def _batch(offset: int, steps: list[int], unreadable: tuple[Unreadable, ...] = ()) -> Batch:
    """Messages of one step each, from `offset` on."""
    sequence = np.array(steps, np.int64)
    columns = Columns(
        TICK,
        1_772_461_800_000_000_000 + sequence * 1_000_000_000,
        sequence,
        np.zeros(len(steps), np.int32),
        sequence.astype(np.float64) + 0.5,
        sequence / 7,
    )
    return Batch(0, offset, offset + len(steps) + len(unreadable), columns, unreadable)


def test_steps_may_be_missing_behind_an_unreadable_message_and_nowhere_else(
    plain_connections: Connections, one: MarketRecord
) -> None:
    topic = TopicInfo("topic-1", np.zeros(1, np.int64), np.full(1, 100, np.int64))

    def sink() -> StoreSink:
        made = StoreSink(plain_connections, *prepare_store(one, plain_connections), TICK)
        made.positions(topic, [0])
        return made

    def bad(offset: int, before: int) -> Unreadable:
        return Unreadable(offset, b"?", "damaged \0 beyond reading", before, False)

    first, zombie = sink(), sink()
    first.write([_batch(0, [1, 2, 5], (bad(2, before=2),))])
    with pytest.raises(OffsetConflict):
        zombie.write([_batch(0, [1, 2, 5], (bad(2, before=2),))])
    with pytest.raises(TopicError, match="expected step 6 of instrument 0, found step 7"):
        first.write([_batch(4, [7])])
    first.write([_batch(4, [6], (bad(5, before=1),))])
    for steps in ([6], [9, 8]):  # forward is allowed, back is not
        with pytest.raises(TopicError, match="lost or repeated"):
            first.write([_batch(6, steps)])
    first.close()
    # Another worker knows it from the table.
    successor = sink()
    successor.write([replace(_batch(6, []), to_offset=7, unreadable=(bad(6, before=0),))])
    successor.close()
    successor = sink()
    successor.write([_batch(7, [9, 10])])
    with pytest.raises(TopicError, match="expected step 11 of instrument 0, found step 13"):
        successor.write([_batch(9, [13])])
    successor.close()
    zombie.close()
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        assert connection.execute("SELECT count(*) FROM tick").fetchone() == (6,)
        assert connection.execute('SELECT array_agg("offset" ORDER BY "offset") FROM quarantine').fetchone() == (
            [2, 5, 6],
        )
