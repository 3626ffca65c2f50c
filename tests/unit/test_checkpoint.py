"""Which stored state a feed goes on from, and that nothing but the simulation knows what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer as PlainProducer
from numpy.typing import NDArray

from hidden_scheme import with_momentum
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.encode import StateRecord, codec_of, decode_state, encode_state, peek_state
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish import checkpoint, run
from pseudofeed.publish import feed as feeding
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.checkpoint import newest_state
from pseudofeed.publish.feed import feed
from pseudofeed.publish.resume import find_beginning
from pseudofeed.query.simulated import simulated_ticks
from pseudofeed.records import FACTOR, STATE, TICK, stored_kinds
from pseudofeed.settings import Connections
from pseudofeed.simulate.state import MarketState, state_form
from pseudofeed.simulate.stream import advance
from pseudofeed.store.backfill.rows import Shard, shard_rows

PARTITIONS, INSTRUMENTS, BLOCK_STEPS = 3, 17, 10
PRODUCE, MSG_SIZE_TOO_LARGE = 0, 10  # Kafka's API key, its error code
MARKET = Market.sample(instruments=INSTRUMENTS, factors=2, name="states", start="2026-03-02T14:30:00Z")
TOPICS = {kind: kind.topic_of("states") for kind in (TICK, FACTOR, STATE)}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockCluster]:
    """A broker with the market's topics, for feeds that store a state after each block of ten steps."""
    monkeypatch.setattr(checkpoint, "WALK_SECONDS", 0.0)
    monkeypatch.setattr(feeding, "STREAM_TICKS", BLOCK_STEPS * INSTRUMENTS)
    with MockCluster() as cluster:
        cluster.create_topic(MARKETS_TOPIC, 1)
        cluster.create_topic(TOPICS[TICK], PARTITIONS)
        cluster.create_topic(TOPICS[FACTOR], 1)
        cluster.create_topic(TOPICS[STATE], 1)
        yield cluster


@pytest.fixture
def kafka(cluster: MockCluster) -> dict[str, str]:
    return {"bootstrap.servers": cluster.bootstrap_servers}


def feed_to(kafka: Mapping[str, str], steps: int, market: Market = MARKET) -> None:
    feed(market, Connections(kafka=kafka), SignalControl(), steps=steps, partitions=PARTITIONS)


def newest(kafka: Mapping[str, str], market: Market = MARKET) -> StateRecord:
    found = newest_state(kafka, TOPICS[STATE], market, fits=lambda _state: True)
    assert found is not None
    return found


def put(kafka: Mapping[str, str], *values: bytes) -> None:
    producer = PlainProducer(dict(kafka))
    for value in values:
        producer.produce(TOPICS[STATE], value, partition=0)
    assert producer.flush(10) == 0


def assert_holds(kafka: Mapping[str, str], market: Market, steps: int) -> None:
    """Every kind's topic holds the steps 1 to `steps` once, as they are simulated in one piece."""
    block = next(market.stream(steps=steps, block_steps=steps))
    with TopicReader(kafka) as reader:
        for kind, partitions in ((TICK, PARTITIONS), (FACTOR, 1)):
            codec = codec_of(kind, market, market.fingerprint)
            for partition in range(partitions):
                values = [message.value() or b"" for message in reader.read(TOPICS[kind], {partition: 0})]
                rows = codec.decode(values, partition)
                assert len(np.unique(rows.sequence * 1_000 + rows.number)) == len(rows)
                assert set(rows.sequence.tolist()) == set(range(1, steps + 1))
                for field in kind.fields:
                    right = getattr(block, field.array)[rows.sequence - 1, rows.number]
                    assert rows[field.name].tobytes() == right.tobytes()


def test_a_feed_stores_states_under_two_sets_of_keys_and_goes_on_from_the_newest(
    kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed_to(kafka, 40)
    first = newest(kafka)
    assert first.step == 40
    assert first.offsets.keys() == {TOPICS[TICK], TOPICS[FACTOR]}
    right = advance(MARKET, None, 40)
    assert {name: array.tobytes() for name, array in first.arrays.items()} == {
        name: array.tobytes() for name, array in right.arrays.items()
    }
    monkeypatch.setattr(run, "advance", None)  # nothing is walked without being published
    feed_to(kafka, 75)
    assert newest(kafka).step == 75
    with TopicReader(kafka) as reader:
        messages = list(reader.read(TOPICS[STATE], {0: 0}))
    headers = [peek_state(message.value() or b"") for message in messages]
    assert [header.step for header in headers] == sorted({header.step for header in headers})  # none is sent twice
    sets = [header.key_set for header in headers]
    assert sets == [number % 2 for number in range(len(sets))]
    assert {message.key() for message in messages} == {b"0.0", b"1.0"}
    assert_holds(kafka, MARKET, 75)


def changed(record: StateRecord, **values: Any) -> list[bytes]:
    """The record as messages, with something else in it."""
    given: dict[str, Any] = {
        "arrays": record.arrays,
        "fingerprint": MARKET.fingerprint,
        "step": record.step,
        "version": record.version,
        "key_set": record.key_set,
        "offsets": record.offsets,
        **values,
    }
    return [value for _, value in encode_state(given.pop("arrays"), **given)]


def other_price(record: StateRecord) -> dict[str, NDArray[np.float64]]:
    price = record.arrays["price"].copy()
    price[3] = np.nextafter(price[3], 0)
    return {**record.arrays, "price": price}


DAMAGES: dict[str, Callable[[StateRecord], list[bytes]]] = {
    "incomplete": lambda record: changed(record)[:-1],
    "damaged": lambda record: [changed(record)[0][:-1] + b"?", *changed(record)[1:]],
    "another market's": lambda record: changed(record, fingerprint=1),
    "another version's": lambda record: changed(record, version=record.version + 1),
    "without an array": lambda record: changed(record, arrays={"price": record.arrays["price"]}),
    "of a step that the topics do not hold": lambda record: changed(record, step=record.step + 1),
    "behind the topics' ends": lambda record: changed(
        record, offsets={topic: offsets + 1 for topic, offsets in record.offsets.items()}
    ),
    "of other topics": lambda record: changed(record, offsets={}),
    "not what the last messages hold": lambda record: changed(record, arrays=other_price(record)),
    "no state": lambda _record: [b"?", b""],
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_state_that_does_not_do_is_passed_over_for_an_older_one(
    kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("pseudofeed.encode.state.MAXIMUM_PART", 400)  # some parts each
    feed_to(kafka, 40)
    record = newest(kafka)
    put(kafka, *DAMAGES[what](record))
    beginning = find_beginning(kafka, MARKET, PARTITIONS)
    assert (beginning.state.step, beginning.key_set) == (40, 1 - record.key_set)
    feed_to(kafka, 60)
    assert_holds(kafka, MARKET, 60)


def test_without_any_state_the_market_is_walked_from_its_start(
    kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(checkpoint.StateSender, "propose", lambda *_: None)
        feed_to(kafka, 40)
    beginning = find_beginning(kafka, MARKET, PARTITIONS)
    assert (beginning.state.step, beginning.key_set) == (0, 0)
    # What that has cost is paid once: the state is stored, also where nothing is left to be published.
    feed_to(kafka, 40)
    assert newest(kafka).step == 40
    feed_to(kafka, 60)
    assert_holds(kafka, MARKET, 60)


def test_a_feed_that_ends_stores_its_state(kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "WALK_SECONDS", 1e9)
    feed_to(kafka, 40)
    assert newest(kafka).step == 40


def test_a_state_that_is_not_delivered_takes_no_other_away(cluster: MockCluster, kafka: dict[str, str]) -> None:
    sender = checkpoint.StateSender(kafka, TOPICS[STATE], MARKET, key_set=0)
    offsets = {TOPICS[TICK]: np.zeros(PARTITIONS, np.int64), TOPICS[FACTOR]: np.zeros(1, np.int64)}

    def send(step: int) -> None:
        sender.propose(advance(MARKET, None, step), offsets)
        sender.acknowledged(step)
        sender.settle()

    send(10)
    cluster.fail_requests(PRODUCE, [MSG_SIZE_TOO_LARGE])
    send(20)
    assert newest(kafka).step == 10
    send(30)
    assert newest(kafka).step == 30
    with TopicReader(kafka) as reader:
        messages = list(reader.read(TOPICS[STATE], {0: 0}))
    assert [message.key() for message in messages] == [b"0.0", b"1.0"]


def test_a_hidden_number_of_each_instrument_needs_no_change_anywhere(kafka: dict[str, str]) -> None:
    with with_momentum() as scheme:
        specification = dict(MARKET.specification)
        specification["simulation"] = {**specification["simulation"], "scheme": scheme}
        market = Market.from_specification(specification)
        assert set(state_form(market).shapes) == {"price", "variance", "momentum", "factor_level"}
        paths = market.simulate(90)
        assert not np.array_equal(paths.prices, MARKET.simulate(90).prices)

        feed_to(kafka, 40, market)
        right = advance(market, None, 40).arrays["momentum"]
        assert newest(kafka, market).arrays["momentum"].tobytes() == right.tobytes()
        feed_to(kafka, 90, market)
        assert_holds(kafka, market, 90)

        # What verify and the client simulate: some instruments, from some step on, however cut.
        some = next(market.stream(start_step=31, steps=9, block_steps=9, instruments=[2, 5]))
        assert some.prices.tobytes() == paths.prices[31:40][:, [2, 5]].tobytes()
        ticks = simulated_ticks(market, 5, int(paths.time[31]), int(paths.time[40]))
        assert ticks.price.tobytes() == np.ascontiguousarray(paths.prices[31:40, 5]).tobytes()

        # What a backfill writes: batch after batch, each from the state of the one before.
        state: MarketState | None = None
        found = []
        for first in range(1, 91, 30):
            for rows in shard_rows(market, Shard(first, first + 29, 7), state=state):
                found.append(rows.rows[TICK]["price"])
                state = rows.state
        assert stored_kinds(market) == (TICK, FACTOR)
        assert np.concatenate(found).tobytes() == paths.prices[1:].tobytes()

        block = next(market.stream(steps=20, block_steps=20))
        with pytest.raises(ValueError, match="the state after step 5 is not known"):
            _ = block.part(0, 5).state
        assert block.part(5, 20).state.arrays["momentum"].tobytes() == block.state.arrays["momentum"].tobytes()


def test_a_state_that_was_stored_is_read_back_bit_for_bit(kafka: dict[str, str]) -> None:
    feed_to(kafka, 20)
    record = newest(kafka)
    parts = changed(record)
    again = decode_state(parts, fingerprint=MARKET.fingerprint)
    assert again.step == record.step
    resumed = next(MARKET.stream(start_step=21, steps=5, block_steps=5, state=MarketState(20, again.arrays)))
    assert resumed.prices.tobytes() == MARKET.simulate(25).prices[21:].tobytes()
