"""The native producer on librdkafka's mock cluster: what goes in comes out, what goes wrong is said in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from confluent_kafka import Message
from confluent_kafka import Producer as PlainProducer
from numpy.typing import NDArray

from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode._encode import decode_ticks, tick_block_size
from pseudofeed.errors import PublishError, SettingsError
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.producer import Producer
from pseudofeed.records import Columns
from pseudofeed.simulate.paths import TickBlock

TOPIC = "ticks.test"
FINGERPRINT = 0xFEDC_BA98_7654_3210
PRODUCE = 0  # Kafka's API key
MSG_SIZE_TOO_LARGE = 10
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
START = 1_767_346_200_000_000_000
HOUR = 3_600_000_000_000  # ns
INSTRUMENTS, PARTITIONS = 20, 3
partition_of = np.array([i * 7 % PARTITIONS for i in range(INSTRUMENTS)], dtype=np.int32)
SYMBOLS = [f"SYM.{i}" for i in range(INSTRUMENTS)]


def make_block(first_step: int, steps: int, instruments: int = INSTRUMENTS) -> TickBlock:
    draws = np.random.default_rng(first_step)
    prices = 100 * np.exp(draws.normal(size=(steps, instruments)))
    variances = draws.normal(scale=0.01, size=(steps, instruments))  # the scheme's variance may dip below zero
    none = np.zeros((steps, 0))
    return TickBlock(
        first_step, START + np.arange(first_step, first_step + steps) * 1_000_003, prices, variances, none, none
    )


def make_producer(
    cluster: MockCluster,
    properties: dict[str, str] | None = None,
    *,
    queue_bytes: int = 64 << 20,
    block_ticks: int = 8_192,
    stall_seconds: float = 60.0,
    mode: str = "block",
    encoding: str = "sbe",
) -> Producer:
    return Producer(
        {"bootstrap.servers": cluster.bootstrap_servers, "linger.ms": "1", **(properties or {})},
        TOPIC,
        symbols=SYMBOLS,
        partitions=partition_of,
        partition_count=PARTITIONS,
        fingerprint=FINGERPRINT,
        queue_bytes=queue_bytes,
        block_ticks=block_ticks,
        stall_seconds=stall_seconds,
        mode=mode,
        encoding=encoding,
    )


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        cluster.create_topic(TOPIC, PARTITIONS)
        yield cluster


def read_messages(cluster: MockCluster) -> list[list[Message]]:
    messages: list[list[Message]] = [[] for _ in range(PARTITIONS)]
    with TopicReader({"bootstrap.servers": cluster.bootstrap_servers}) as reader:
        for message in reader.read(TOPIC, dict.fromkeys(range(PARTITIONS), 0)):
            messages[message.partition() or 0].append(message)
    return messages


def read_ticks(cluster: MockCluster) -> list[Columns]:
    return [
        decode_ticks([m.value() or b"" for m in messages], fingerprint=FINGERPRINT, partition=partition)
        for partition, messages in enumerate(read_messages(cluster))
    ]


def assert_holds(ticks: list[Columns], blocks: list[TickBlock]) -> None:
    """Every partition holds its instruments' ticks of these blocks, once, in order, equal in every bit."""
    time_ = np.concatenate([block.time for block in blocks])
    prices = np.concatenate([block.prices for block in blocks])
    variances = np.concatenate([block.variances for block in blocks])
    steps = np.arange(blocks[0].first_step, blocks[0].first_step + len(time_))
    for partition, columns in enumerate(ticks):
        numbers = np.flatnonzero(partition_of == partition).astype(np.int32)
        assert columns.sequence.tolist() == np.repeat(steps, len(numbers)).tolist()
        assert columns.time.tolist() == np.repeat(time_, len(numbers)).tolist()
        assert columns.number.tolist() == np.tile(numbers, len(steps)).tolist()
        assert columns["price"].tobytes() == prices[:, numbers].tobytes()
        assert columns["variance"].tobytes() == variances[:, numbers].tobytes()


def each(*values: int) -> NDArray[np.int64]:
    """One for each partition."""
    return np.array(values, dtype=np.int64)


def numbers_of(partition: int) -> list[int]:
    return [int(number) for number in np.flatnonzero(partition_of == partition)]


def publish_slowly(producer: Producer, *, first_step: int) -> None:
    for i in range(200):
        producer.publish(make_block(first_step + 10 * i, 10))
        time.sleep(0.002)


def test_what_goes_in_comes_out_bit_for_bit(cluster: MockCluster) -> None:
    blocks = [make_block(1, 1000), make_block(1001, 3)]
    with make_producer(cluster, block_ticks=500) as producer:
        for block in blocks:
            assert producer.publish(block)
        assert producer.flush() == 0
        delivered = producer.delivered
        assert producer.partition_counts().acknowledged.tolist() == [1003] * PARTITIONS
    assert_holds(read_ticks(cluster), blocks)
    messages = read_messages(cluster)
    assert delivered.ticks == 1003 * INSTRUMENTS
    assert delivered.messages == sum(map(len, messages))
    assert delivered.bytes == sum(len(m.value() or b"") for partition in messages for m in partition)
    assert delivered.in_flight == 0
    for partition, own in enumerate(messages):
        size = tick_block_size(500 // int((partition_of == partition).sum()), int((partition_of == partition).sum()))
        assert max(len(m.value() or b"") for m in own) == size
        assert all(m.key() is None for m in own)
        # Stamped by the clock, whatever the market's time: a broker forgets a producer whose records are old.
        assert all(abs(m.timestamp()[1] / 1000 - time.time()) < 60 for m in own)


@pytest.mark.parametrize("encoding", ["sbe", "json"])
def test_a_message_a_tick_has_its_symbol_as_key_and_its_own_time(cluster: MockCluster, encoding: str) -> None:
    now = time.time_ns()
    # Half of its steps more than half a day ago.
    block = replace(make_block(1, 50), time=now - 12 * HOUR + np.arange(-25, 25) * HOUR // 10)
    with make_producer(cluster, mode="tick", encoding=encoding, queue_bytes=32_000) as producer:
        assert producer.publish(block)
        assert producer.flush() == 0
        assert producer.delivered.ticks == producer.delivered.messages == 50 * INSTRUMENTS
        assert producer.partition_counts().acknowledged.tolist() == [50] * PARTITIONS
    assert_holds(read_ticks(cluster), [block])
    for partition, messages in enumerate(read_messages(cluster)):
        numbers = np.flatnonzero(partition_of == partition)
        assert [m.key() for m in messages] == [SYMBOLS[number].encode() for number in numbers] * 50
        stamps = np.array([m.timestamp()[1] for m in messages])
        expected = np.repeat(block.time // 1_000_000, len(numbers))
        late = 26 * len(numbers)  # one more for the time that the test takes
        assert stamps[late:].tolist() == expected[late:].tolist()
        # A broker forgets a producer whose records are old.
        assert (np.abs(stamps[:late] - (now - 12 * HOUR) // 1_000_000) < 300_000).all()
        assert (np.diff(stamps) >= 0).all()
    if encoding == "json":
        assert json.loads(read_messages(cluster)[1][0].value() or b"")["price"] == block.prices[0, numbers_of(1)[0]]


def test_a_step_that_is_held_in_part_is_completed_tick_by_tick_then_blocks_go_on(cluster: MockCluster) -> None:
    block = make_block(3, 5)
    with make_producer(cluster) as producer:
        producer.begin(steps=each(2, 2, 2), ahead=each(0, 3, 5))
        producer.publish(block)
    found = read_messages(cluster)
    assert [[m.key() for m in messages] for messages in found] == [
        [None],
        [*(SYMBOLS[number].encode() for number in numbers_of(1)[3:]), None],
        [*(SYMBOLS[number].encode() for number in numbers_of(2)[5:]), None],
    ]
    for partition, ahead in enumerate((0, 3, 5)):
        numbers = numbers_of(partition)
        columns = read_ticks(cluster)[partition]
        assert columns.number.tolist() == [*numbers[ahead:], *numbers * 4]
        assert columns["price"].tobytes() == block.prices[:, numbers].tobytes()[8 * ahead :]


def test_a_block_of_other_instruments_is_refused(cluster: MockCluster) -> None:
    block = make_block(1, 10)
    with (
        make_producer(cluster) as producer,
        pytest.raises(ValueError, match=r"prices has the shape \(10, 7\), not \(10, 20\)"),
    ):
        producer.publish(replace(block, prices=np.ascontiguousarray(block.prices[:, :7])))


def test_json_has_no_infinite_numbers(cluster: MockCluster) -> None:
    block = make_block(1, 2)
    block.prices[1, numbers_of(0)[2]] = np.inf
    problem = f"instrument {numbers_of(0)[2]} at step 2: price inf"
    with make_producer(cluster, mode="tick", encoding="json") as producer, pytest.raises(ValueError, match=problem):
        producer.publish(block)
    with pytest.raises(ValueError, match="json is for mode tick"):
        make_producer(cluster, mode="block", encoding="json")


def test_steps_that_a_partition_holds_are_skipped(cluster: MockCluster) -> None:
    with make_producer(cluster) as producer:
        producer.begin(steps=each(10, 4, 0))
        producer.publish(make_block(1, 10))
        producer.publish(make_block(1, 10))
    assert [columns.sequence[:1].tolist() for columns in read_ticks(cluster)] == [[], [5], [1]]
    assert [len(np.unique(columns.sequence)) for columns in read_ticks(cluster)] == [0, 6, 10]
    assert sum(len(columns.sequence) for columns in read_ticks(cluster)) == int(
        (np.array([0, 6, 10]) * np.bincount(partition_of)).sum()
    )


def test_a_gap_is_refused(cluster: MockCluster) -> None:
    with make_producer(cluster) as producer:
        producer.begin(steps=each(5, 4, 5))
        with pytest.raises(ValueError, match=r"partition 1 .* up to 4, .* step 6 .* gap"):
            producer.publish(make_block(6, 10))
        producer.begin(steps=each(5, 5, 5))
        producer.publish(make_block(6, 10))
        with pytest.raises(ValueError, match=r"partition 0 .* up to 15, .* step 17"):
            producer.publish(make_block(17, 1))


def test_a_full_queue_is_waited_for(cluster: MockCluster) -> None:
    blocks = [make_block(1 + 2000 * i, 2000) for i in range(3)]
    most = 0
    with make_producer(cluster, queue_bytes=64 << 10, block_ticks=700) as producer:
        for block in blocks:
            assert producer.publish(block)
            most = max(most, producer.delivered.in_flight)
    assert most * tick_block_size(100, 7) <= 80 << 10
    assert_holds(read_ticks(cluster), blocks)


def test_a_stop_ends_the_wait_for_a_full_queue(cluster: MockCluster) -> None:
    cluster.stop_broker()
    producer = make_producer(cluster, queue_bytes=64 << 10, block_ticks=700)
    began = time.monotonic()
    assert not producer.publish(make_block(1, 2000), stopping=lambda: True)
    assert time.monotonic() - began < 2
    # The server comes back: the rest of the same block follows on.
    cluster.start_broker()
    with producer:
        assert producer.publish(make_block(1, 2000))
    assert_holds(read_ticks(cluster), [make_block(1, 2000)])


def test_connect_says_whether_the_server_answers(cluster: MockCluster) -> None:
    """That the first message goes out at once then, is measured (benchmarks/README.md)."""
    with make_producer(cluster) as producer:
        assert producer.connect(timeout=30)
        cluster.stop_broker()
        assert not producer.connect(timeout=0.2)
        cluster.start_broker()


def test_flush_ends_in_time_where_no_broker_is(cluster: MockCluster) -> None:
    producer = make_producer(cluster)
    producer.publish(make_block(1, 10))
    assert producer.flush() == 0
    cluster.stop_broker()
    producer.publish(make_block(11, 10))
    began = time.monotonic()
    assert producer.flush(0.5) == PARTITIONS
    assert 0.4 < time.monotonic() - began < 2
    began = time.monotonic()
    producer.close()
    assert time.monotonic() - began < 2


def test_a_server_that_does_not_move_is_given_up_with_its_address(cluster: MockCluster) -> None:
    cluster.stop_broker()
    producer = make_producer(cluster, queue_bytes=64 << 10, block_ticks=700, stall_seconds=0.5)
    with pytest.raises(PublishError, match=f"Kafka at {cluster.bootstrap_servers} has not acknowledged"):
        producer.publish(make_block(1, 2000))
    producer.close()


def test_a_message_that_the_broker_refuses_stops_the_producer_and_leaves_no_gap(cluster: MockCluster) -> None:
    producer = make_producer(cluster, block_ticks=70)
    producer.publish(make_block(1, 100))
    assert producer.flush() == 0
    cluster.fail_requests(PRODUCE, [MSG_SIZE_TOO_LARGE])
    with pytest.raises(PublishError, match=r"steps 101 to 110: .*Message size too large") as first:
        publish_slowly(producer, first_step=101)
    with pytest.raises(PublishError) as again:
        producer.publish(make_block(1, 1))
    assert str(again.value) == str(first.value)
    with pytest.raises(PublishError):
        producer.flush(5)
    producer.close()
    for columns in read_ticks(cluster):
        steps = np.unique(columns.sequence)
        assert steps.tolist() == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("mode", ["block", "tick"])
def test_a_fatal_error_ends_everything_in_time_and_every_message_is_reported_once(
    cluster: MockCluster, mode: str
) -> None:
    producer = make_producer(cluster, mode=mode, block_ticks=70)
    producer.publish(make_block(1, 100))
    assert producer.flush() == 0
    cluster.fail_requests(PRODUCE, [OUT_OF_ORDER_SEQUENCE_NUMBER])
    began = time.monotonic()
    with pytest.raises(PublishError, match=r"partition \d of ticks.test, step.*: ") as told:
        publish_slowly(producer, first_step=101)
    for call in (producer.flush, producer.poll, lambda: producer.publish(make_block(1, 1))):
        with pytest.raises(PublishError) as again:
            call()
        assert str(again.value) == str(told.value)
    # What was thrown away is reported by librdkafka's thread, when it gets to it.
    while producer.delivered.in_flight and time.monotonic() - began < 10:
        with pytest.raises(PublishError):
            producer.poll()
    assert time.monotonic() - began < 10
    delivered = producer.delivered
    assert delivered.in_flight == 0
    assert delivered.failed > 0
    assert delivered.messages == sum(map(len, read_messages(cluster)))
    producer.close()
    for columns in read_ticks(cluster):
        steps = np.unique(columns.sequence)
        assert steps.tolist() == list(range(1, len(steps) + 1))


def test_a_partition_that_the_topic_lacks_is_reported(cluster: MockCluster) -> None:
    cluster.create_topic("ticks.small", 1)
    producer = Producer(
        {"bootstrap.servers": cluster.bootstrap_servers, "linger.ms": "1"},
        "ticks.small",
        symbols=["A", "B"],
        partitions=np.array([0, 1], dtype=np.int32),
        partition_count=2,
        fingerprint=1,
    )

    # By the first call that can know it: already `publish`, where the topic's metadata is there in time.
    def publish_and_flush() -> None:
        producer.publish(make_block(1, 2, 2))
        producer.flush(20)

    with pytest.raises(PublishError, match=r"partition 1 of ticks.small, steps 1 to 2: .*[Uu]nknown partition"):
        publish_and_flush()
    producer.close()
    with pytest.raises(SettingsError, match="instrument 1 is in partition 2"):
        Producer(
            {},
            "ticks.small",
            symbols=["A", "B"],
            partitions=np.array([0, 2], dtype=np.int32),
            partition_count=2,
            fingerprint=1,
        )


def test_another_writer_is_noticed(cluster: MockCluster) -> None:
    producer = make_producer(cluster)
    producer.begin(offsets=each(0, 0, 0))
    producer.publish(make_block(1, 10))
    assert producer.flush() == 0
    other = PlainProducer({"bootstrap.servers": cluster.bootstrap_servers})
    other.produce(TOPIC, b"x", partition=1)
    assert other.flush(10) == 0
    producer.publish(make_block(11, 10))
    with pytest.raises(PublishError, match=r"partition 1 .*steps 11 to 20: .*offset 2 where 1 .*another producer"):
        producer.flush()
    producer.close()


def test_a_step_that_fits_no_message_is_refused_and_smaller_limits_split(cluster: MockCluster) -> None:
    with pytest.raises(PublishError, match=r"partition 0 .* 7 instruments.*message.max.bytes is 1100.*more partitions"):
        make_producer(cluster, {"message.max.bytes": "1100"})
    with make_producer(cluster, {"message.max.bytes": "2000"}) as producer:
        producer.publish(make_block(1, 100))
    assert_holds(read_ticks(cluster), [make_block(1, 100)])
    assert max(len(m.value() or b"") for partition in read_messages(cluster) for m in partition) <= 2000 - 1024
