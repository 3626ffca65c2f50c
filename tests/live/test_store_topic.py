"""T14: a topic that is not the one the store has read, or not all of it, stops the worker; nothing of it is written."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from live.commands import no_command_stays, start
from live.pipe import START, Until, differences, fed_market, feed_steps, working
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import delete_topic, describe, ensure_topic, topic_config
from pseudofeed.errors import TopicError
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.store.worker import prepare_store, store_market

__all__ = ["no_command_stays"]
pytestmark = pytest.mark.usefixtures("no_command_stays")

STEPS, TICKS = 100, 100 * 20


def _has_all(connections: Connections, record: MarketRecord) -> bool:
    return differences(connections, record, STEPS) == (TICKS, 0, 0)


def test_a_topic_made_anew_while_it_is_read_stops_the_worker(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    kafka, topic = plain_connections.require_kafka(), TICK.topic_of(market_name)
    store_market(record, plain_connections, Until())
    with working(record, plain_connections) as worker:
        time.sleep(1)
        delete_topic(kafka, topic)
        ensure_topic(kafka, topic, record.partitions, topic_config(TICK))
        feed_steps(plain_connections, record, first=1, steps=3 * STEPS)
        problem = worker.failed()
    assert isinstance(problem, TopicError)
    assert re.search("deleted (and recreated|while it was read)|lost or repeated", str(problem))
    assert _has_all(plain_connections, record)


def test_retention_that_overtook_the_worker_stops_it(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    store_market(record, plain_connections, Until())
    feed_steps(plain_connections, record, first=STEPS + 1, steps=STEPS)
    kafka, topic = plain_connections.require_kafka(), TICK.topic_of(market_name)
    ends = describe(kafka, topic).high
    admin = AdminClient(dict(kafka))
    places = [TopicPartition(topic, number, int(end) - 1) for number, end in enumerate(ends)]
    for future in admin.delete_records(places).values():
        future.result(30)
    with pytest.raises(TopicError, match="messages were deleted before they were read"):
        store_market(record, plain_connections, Until())
    assert _has_all(plain_connections, record)


def test_retention_that_overtakes_a_running_worker_stops_it(
    plain_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    """It is frozen while messages come and go. What it has fetched before they went it may still write."""
    record = fed_market(plain_connections, market_name, steps=STEPS)
    kafka, topic = plain_connections.require_kafka(), TICK.topic_of(market_name)
    prepare_store(record, plain_connections)
    process = start(plain_connections, tmp_path, "store", market_name)
    while _newest_steps(plain_connections) != (TICKS, TICKS):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGSTOP)
    feed_steps(plain_connections, record, first=STEPS + 1, steps=30 * STEPS)
    ends = describe(kafka, topic).high
    admin = AdminClient(dict(kafka))
    places = [TopicPartition(topic, number, int(end) - 1) for number, end in enumerate(ends)]
    for future in admin.delete_records(places).values():
        future.result(30)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out
    assert re.fullmatch(
        rf"pseudofeed: topic {topic} partition \d: .* continues at offset \d+, but the topic starts at \d+ "
        r"by now: \d+ messages were deleted before they were read\. .* give the topic a longer retention\n",
        err,
    )
    rows, steps = _newest_steps(plain_connections)
    assert rows == steps < 31 * TICKS  # of each instrument all steps up to its newest
    assert differences(plain_connections, record, 31 * STEPS)[1] == 0


def _newest_steps(connections: Connections) -> tuple[int, int]:
    """Rows, and the sum over the instruments of the step of each one's newest row."""
    with psycopg.connect(connections.require_postgres()) as connection:
        row = connection.execute(
            """SELECT coalesce(sum(rows), 0)::int8, coalesce(sum(extract(epoch FROM newest - %s::timestamptz)), 0)::int8
               FROM (SELECT count(*) AS rows, max(time) AS newest FROM tick GROUP BY instrument_id) instruments""",
            (START,),
        ).fetchone()
    assert row is not None
    return row


def test_the_groups_offsets_in_kafka_mean_nothing_to_the_store(
    plain_connections: Connections, market_name: str
) -> None:
    """An administrator puts the group back, as he would to have a consumer read again: nothing is stored twice."""
    record = fed_market(plain_connections, market_name, steps=STEPS)
    store_market(record, plain_connections, Until())
    kafka, topic = plain_connections.require_kafka(), TICK.topic_of(market_name)
    places = [TopicPartition(topic, number, 0) for number in range(record.partitions)]
    group = ConsumerGroupTopicPartitions(f"pseudofeed.store.{market_name}", places)
    admin = AdminClient(dict(kafka))
    for future in admin.alter_consumer_group_offsets([group]).values():
        future.result(30)
    assert store_market(record, plain_connections, Until()).ticks == 0
    assert _has_all(plain_connections, record)


@pytest.mark.parametrize(("moved", "found"), [("next_offset - 2", r"\d\d"), ("next_offset + 1", r"1[1-9]\d")])
def test_offsets_that_were_moved_in_the_store_stop_the_worker(
    plain_connections: Connections, market_name: str, moved: str, found: str
) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    store_market(record, plain_connections, Until())
    feed_steps(plain_connections, record, first=STEPS + 1, steps=STEPS)
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        connection.execute(f"UPDATE sink_offset SET next_offset = {moved}".encode())
    with pytest.raises(TopicError, match=rf"expected step 101 of instrument \d+, found step {found} of instrument"):
        store_market(record, plain_connections, Until())
    assert _has_all(plain_connections, record)
