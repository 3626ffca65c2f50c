"""A kind that only its declaration knows goes all the way: topic, store, verify, backfill and drop. Adding one is one
file (probe_kind.py), its place in the list, and its message in the wire's schema."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from confluent_kafka import Producer

from live.pipe import Until, fed_market
from probe_kind import PROBE, probing
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import ensure_market_topics
from pseudofeed.commands.drop import drop_everywhere, find_traces
from pseudofeed.encode import encode_events, partitions_of
from pseudofeed.errors import TopicError
from pseudofeed.records import Columns
from pseudofeed.settings import Connections
from pseudofeed.simulate.rows import block_rows, blocks_of
from pseudofeed.store.backfill.run import backfill_market
from pseudofeed.store.worker import store_market
from pseudofeed.verify import verify_market
from pseudofeed.verify.report import StageTally

STEPS = 60


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with probing():
        yield


def probes(record: MarketRecord, partition: int, first: int, last: int) -> Columns:
    members = np.flatnonzero(partitions_of(PROBE, record.market, record.partitions) == partition)
    (block,) = blocks_of(
        PROBE, record.market, members, first_step=first, steps=last - first + 1, block_steps=last - first + 1
    )
    return block_rows(PROBE, block, members)


def feed_probes(
    connections: Connections, record: MarketRecord, first: int, last: int, *, most: int = 7, leave_out: int = -1
) -> None:
    """The steps first to last, cut into messages of at most `most` events; leave_out: a message of each partition."""
    kafka = connections.require_kafka()
    ensure_market_topics(kafka, record.market, record.partitions)
    producer = Producer(dict(kafka))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pseudofeed.encode.events.maximum_events", lambda _: most)
        for partition in range(record.partitions):
            messages = encode_events(
                probes(record, partition, first, last),
                fingerprint=record.fingerprint, partition=partition, first_step=first, steps=last - first + 1,
            )  # fmt: skip
            for at, message in enumerate(messages):
                if at != leave_out:
                    producer.produce(PROBE.topic_of(record.name), message, partition=partition)
    assert producer.flush(20) == 0


def counts(tally: StageTally) -> tuple[int, int, int, int]:
    return tally.missing, tally.repeated, tally.altered, tally.unexpected


def stored(connections: Connections, market: str) -> list[tuple[object, ...]]:
    """All rows of a market's probes, by name, with their exact time in ns."""
    with psycopg.connect(connections.require_postgres()) as connection:
        return connection.execute(
            """SELECT symbol, step, event, (extract(epoch FROM time) * 1000000)::int8 * 1000 + nanosecond,
                      level, size, side, label
               FROM probe_history WHERE market = %s ORDER BY step, symbol, event""",
            (market,),
        ).fetchall()


def expected(record: MarketRecord, last: int) -> list[tuple[object, ...]]:
    found = [probes(record, partition, 1, last) for partition in range(record.partitions)]
    rows = [
        (record.market.symbols[number], step, event, time, level, size, side, label.decode())
        for columns in found
        for time, step, number, event, level, size, side, label in zip(
            *(array.tolist() for array in columns.arrays), strict=True
        )
    ]
    return sorted(rows, key=lambda row: (row[1], row[0], row[2]))


def test_its_records_are_stored_once_each_and_verified(store_connections: Connections, market_name: str) -> None:
    connections = store_connections
    record = fed_market(connections, market_name, steps=STEPS, factors=True)
    feed_probes(connections, record, 1, 25)
    assert store_market(record, connections, Until()).unreadable == 0
    feed_probes(connections, record, 26, STEPS)
    for _ in range(2):
        store_market(record, connections, Until())
    rows = stored(connections, market_name)
    assert rows == expected(record, STEPS)
    assert len(rows) > STEPS * 10
    report = verify_market(record, connections, stages=("kafka", "postgres"))
    for stage in ("kafka_probes", "postgres_probes"):
        tally = report.stages[stage]
        assert (counts(tally), tally.ticks, tally.expected) == ((0, 0, 0, 0), len(rows), len(rows))
    assert report.equal
    assert report.steps == STEPS

    with psycopg.connect(connections.require_postgres(), autocommit=True) as connection:
        connection.execute("UPDATE probe SET size = size + 1 WHERE step = 7 AND event = 0 AND instrument_id % 2 = 0")
        connection.execute("DELETE FROM probe WHERE step = 9 AND event = 0")
        connection.execute("INSERT INTO probe SELECT * FROM probe WHERE step = 11 AND event = 0")
        connection.execute("UPDATE probe SET event = 77 WHERE step = 12 AND event = 0")
    tally = verify_market(record, connections, stages=("postgres",)).stages["postgres_probes"]
    of = {step: sum(row[1:3] == (step, 0) for row in rows) for step in (9, 11, 12)}
    missing, repeated, altered, unexpected = counts(tally)
    assert (missing, repeated, unexpected) == (of[9] + of[12], of[11], of[12])
    assert 0 < altered < sum(row[1:3] == (7, 0) for row in rows)
    assert tally.first_difference is not None
    assert (tally.first_difference.kind, tally.first_difference.what, tally.first_difference.step) == (
        "altered",
        "probe",
        7,
    )


def test_a_lost_message_stops_the_store_and_is_named_by_verify(
    plain_connections: Connections, market_name: str
) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    feed_probes(plain_connections, record, 1, STEPS, leave_out=3)
    with pytest.raises(TopicError, match=r"topic probes\..*expected step \d+ from event \d+ on, found step"):
        store_market(record, plain_connections, Until())
    assert stored(plain_connections, market_name) == []
    tally = verify_market(record, plain_connections, stages=("kafka",)).stages["kafka_probes"]
    assert tally.missing == 7 * record.partitions
    assert counts(tally)[1:] == (0, 0, 0)


def test_a_message_that_cannot_be_read_leaves_a_gap_and_nothing_else(
    plain_connections: Connections, market_name: str
) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS, partitions=1)
    feed_probes(plain_connections, record, 1, 30)
    producer = Producer(dict(plain_connections.require_kafka()))
    producer.produce(PROBE.topic_of(market_name), b"nothing", partition=0)
    producer.flush(20)
    feed_probes(plain_connections, record, 35, STEPS)
    assert store_market(record, plain_connections, Until()).unreadable == 1
    assert stored(plain_connections, market_name) == [
        row for row in expected(record, STEPS) if not 30 < int(str(row[1])) < 35
    ]


def test_a_backfill_writes_what_the_stream_has_not(plain_connections: Connections, market_name: str) -> None:
    """The stream has left a step in the middle."""
    record = fed_market(plain_connections, market_name, steps=20)
    kafka = plain_connections.require_kafka()
    ensure_market_topics(kafka, record.market, record.partitions)
    producer = Producer(dict(kafka))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pseudofeed.encode.events.maximum_events", lambda _: 3)
        for partition in range(record.partitions):
            messages = encode_events(
                probes(record, partition, 1, 20),
                fingerprint=record.fingerprint, partition=partition, first_step=1, steps=20,
            )  # fmt: skip
            for message in messages[: len(messages) // 2]:
                producer.produce(PROBE.topic_of(market_name), message, partition=partition)
    assert producer.flush(20) == 0
    store_market(record, plain_connections, Until())
    had = len(stored(plain_connections, market_name))
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        middle = connection.execute("SELECT count(*) FROM sink_offset WHERE kind = 'probe' AND last_number > 0")
        assert middle.fetchone() != (0,)
    summary = backfill_market(record.market, plain_connections, Until(), end=str(STEPS))
    rows = expected(record, STEPS)
    assert stored(plain_connections, market_name) == rows
    assert summary.rows["probe"] == len(rows) - had
    assert verify_market(record, plain_connections, stages=("postgres",)).stages["postgres_probes"].equal


def test_a_dropped_market_leaves_none(store_connections: Connections, market_name: str) -> None:
    record = fed_market(store_connections, market_name, steps=20)
    feed_probes(store_connections, record, 1, 20)
    store_market(record, store_connections, Until())
    traces = find_traces(market_name, store_connections)
    assert PROBE.topic_of(market_name) in traces.topics
    drop_everywhere(traces, store_connections)
    with psycopg.connect(store_connections.require_postgres()) as connection:
        assert connection.execute("SELECT count(*) FROM probe").fetchone() == (0,)
