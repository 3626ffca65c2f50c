"""The loop that reads a topic, on librdkafka's mock cluster, with sinks that misbehave on purpose."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from confluent_kafka import Producer as PlainProducer

from live.pipe import Until, feed_steps
from live.recorder import Recorder
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch, Sink, WorkerSummary, consume_kind
from pseudofeed.errors import OffsetConflict, ServerError, TopicError
from pseudofeed.market import Market
from pseudofeed.publish._publish import MockCluster
from pseudofeed.records import TICK
from pseudofeed.settings import Connections

STEPS = 400


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def connections(cluster: MockCluster) -> Connections:
    return Connections(kafka={"bootstrap.servers": cluster.bootstrap_servers})


@pytest.fixture
def record(request: pytest.FixtureRequest, cluster: MockCluster, connections: Connections) -> MarketRecord:
    name = f"m{abs(hash(request.node.name)) % 10**9}"
    market = Market.sample(instruments=10, factors=1, seed=5, name=name, start="2026-03-02T14:30:00Z")
    record = MarketRecord(name, dict(market.specification), 2, 1, market.fingerprint)
    cluster.create_topic(TICK.topic_of(name), 2)
    feed_steps(connections, record, first=1, steps=STEPS)
    return record


def _consume(
    record: MarketRecord, connections: Connections, sinks: Sequence[Sink], *, batch_rows: int = 100
) -> WorkerSummary:
    return consume_kind(
        record, TICK, connections, Until(), sinks, stage="test", batch_rows=batch_rows, batch_seconds=0.05
    )


def test_every_message_is_written_once_and_in_order(connections: Connections, record: MarketRecord) -> None:
    sinks = [Recorder(), Recorder()]
    summary = _consume(record, connections, sinks)
    assert summary.ticks == STEPS * 10
    assert summary.last_step == STEPS
    for partition, sink in enumerate(sinks):
        assert sink.sequences(partition) == list(range(1, STEPS + 1))
        assert sink.closed == 1


def test_reading_starts_where_the_sink_says(connections: Connections, record: MarketRecord) -> None:
    sink = Recorder(start=3)
    _consume(record, connections, [sink])
    assert {batch.partition for batch in sink.batches} == {0, 1}
    for partition in (0, 1):
        first = min((b for b in sink.batches if b.partition == partition), key=lambda b: b.from_offset)
        assert first.from_offset == 3
        sequences = sink.sequences(partition)
        assert sequences == list(range(sequences[0], STEPS + 1))


def test_messages_that_cannot_be_read_come_beside_the_ticks(connections: Connections, record: MarketRecord) -> None:
    producer = PlainProducer(connections.require_kafka())
    places: list[int] = []
    for value in (b"not a tick block", None):
        producer.produce(
            TICK.topic_of(record.name), value, partition=1, on_delivery=lambda _, m: places.append(m.offset() or 0)
        )
    assert producer.flush(10) == 0
    feed_steps(connections, record, first=STEPS + 1, steps=20)
    sink = Recorder()
    summary = _consume(record, connections, [sink], batch_rows=10**6)
    assert (summary.ticks, summary.unreadable) == ((STEPS + 20) * 10, 2)
    found = [(batch, message) for batch in sink.batches for message in batch.unreadable]
    assert [(batch.partition, message.offset) for batch, message in found] == [(1, place) for place in places]
    assert [(message.value, message.foreign) for _, message in found] == [(b"not a tick block", False), (b"", False)]
    batch, message = found[0]
    assert batch.columns.sequence[message.before] == STEPS + 1
    assert "tick" in message.reason
    assert sink.sequences(1) == list(range(1, STEPS + 21))


def test_after_a_conflict_the_sink_is_asked_again(connections: Connections, record: MarketRecord) -> None:
    class Overtaken(Recorder):
        def before(self, batches: Sequence[Batch]) -> None:
            if self.batches and len(self.asked) < 2:
                # Another worker has taken the first of these partitions two messages further.
                partition = batches[0].partition
                self.overtook = (partition, self.next[partition])
                self.next[partition] += 2
                raise OffsetConflict("overtaken")

    sink = Overtaken()
    _consume(record, connections, [sink])
    assert len(sink.asked) == 2
    partition, at = sink.overtook
    ranges = [(batch.from_offset, batch.to_offset) for batch in sink.batches if batch.partition == partition]
    assert all(after[0] in (before[1], at + 2) for before, after in itertools.pairwise(ranges))
    assert sink.sequences(1 - partition) == list(range(1, STEPS + 1))


def test_a_topic_that_seems_to_lack_messages_is_looked_at_again(connections: Connections, record: MarketRecord) -> None:
    """A worker that stood still between the question for the topic's ends and that for its place has an old answer."""

    class Overtaken(Recorder):
        lacking = 1  # how often the topic seems to end before the sink's place

        def positions(self, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, int]:
            found = super().positions(topic, partitions)
            if len(self.asked) <= self.lacking:
                raise TopicError("the topic ends at 9")
            return found

    sink = Overtaken()
    assert _consume(record, connections, [sink]).ticks == STEPS * 10
    sink = Overtaken()
    sink.lacking = 2
    with pytest.raises(TopicError, match="ends at 9"):
        _consume(record, connections, [sink])
    assert len(sink.asked) == 2


def test_a_sink_that_hangs_holds_reading_back_and_gives_up_when_asked(
    connections: Connections, record: MarketRecord
) -> None:
    class Hanging(Recorder):
        def before(self, batches: Sequence[Batch]) -> None:
            del batches
            if not self.gave_up.wait(30):
                raise AssertionError("never asked to give up")
            raise ServerError("away")

    control = Until(draining=False)
    sink = Hanging()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            consume_kind(record, TICK, connections, control, [sink], stage="hang", batch_rows=50, batch_seconds=0.0)
        except ServerError as problem:
            caught.append(problem)

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(6)
    assert worker.is_alive()
    control.stopping = True
    worker.join(10)
    assert not worker.is_alive()
    assert [str(problem) for problem in caught] == ["away"]
    assert sink.batches == []


def test_a_hanging_sink_that_comes_back_has_missed_nothing(connections: Connections, record: MarketRecord) -> None:
    class Slow(Recorder):
        def before(self, batches: Sequence[Batch]) -> None:
            del batches
            if len(self.batches) == 0:
                time.sleep(3)  # long enough for the partitions to be paused

    sink = Slow()
    assert _consume(record, connections, [sink], batch_rows=40).ticks == STEPS * 10
    for partition in (0, 1):
        assert sink.sequences(partition) == list(range(1, STEPS + 1))


def test_no_broker_is_named_within_seconds(record: MarketRecord) -> None:
    begun = time.monotonic()
    nobody = Connections(kafka={"bootstrap.servers": "127.0.0.1:9"})
    sink = Recorder()
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        _consume(record, nobody, [sink])
    assert time.monotonic() - begun < 8
    assert sink.closed == 1


def test_other_partitions_than_the_markets_are_refused(connections: Connections, record: MarketRecord) -> None:
    other = MarketRecord(record.name, record.specification, 3, record.epoch, record.fingerprint)
    with pytest.raises(TopicError, match="2 partitions"):
        _consume(other, connections, [Recorder()])


def test_positions_are_checked_against_the_topic() -> None:
    from pseudofeed.consume import position_within

    topic = TopicInfo(None, np.array([5]), np.array([9]))
    assert position_within("ticks.m", topic, 0, 5, "the store") == 5
    assert position_within("ticks.m", topic, 0, 9, "the store") == 9
    for offset in (4, 10):
        with pytest.raises(TopicError, match="partition 0"):
            position_within("ticks.m", topic, 0, offset, "the store")
