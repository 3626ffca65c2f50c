"""A feed goes on from what its topic holds, tick for tick and bit for bit, on librdkafka's mock cluster."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer as PlainProducer

from pseudofeed.bus.markets import register_market
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.encode import (
    decode_factor_blocks,
    decode_ticks,
    encode_factor_block_into,
    encode_state,
    encode_tick,
    encode_tick_block_into,
    encode_tick_json,
    factor_block_size,
    instrument_partitions,
    tick_block_size,
)
from pseudofeed.errors import MalformedMessage, TopicError
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.feed import feed
from pseudofeed.records import FACTOR, STATE, TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.state import MarketState, state_form
from pseudofeed.simulate.stream import advance

PARTITIONS = 3
TOPIC, FACTOR_TOPIC, STATE_TOPIC = (kind.topic_of("resumed") for kind in (TICK, FACTOR, STATE))
TOML = """
[market]
name = "resumed"
seed = 5
[clock]
start = 2026-03-02T14:30:00Z
step = "1h"
calendar = "{calendar}"
overnight_variance = {night}
[simulation]
scheme = "{scheme}"
[factors]
names = ["market", "size"]
volatilities = [0.16, 0.08]
correlations = [[1.0, 0.2], [0.2, 1.0]]
[instruments]
count = 17
"""
EULER = TOML.format(calendar="24/7", night=0.0, scheme="euler")
QE_WITH_NIGHTS = TOML.format(calendar="XNYS", night=0.1, scheme="qe")


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        cluster.create_topic(MARKETS_TOPIC, 1)
        cluster.create_topic(TOPIC, PARTITIONS)
        cluster.create_topic(FACTOR_TOPIC, 1)
        cluster.create_topic(STATE_TOPIC, 1)
        yield cluster


class Writer:
    """Writes a market's ticks in whichever messages, without the producer that is tested."""

    def __init__(self, cluster: MockCluster, market: Market, chance: random.Random) -> None:
        self._producer = PlainProducer({"bootstrap.servers": cluster.bootstrap_servers})
        self._market, self._chance = market, chance
        self._of_instrument = instrument_partitions(market.symbols, PARTITIONS)
        register_market(connections(cluster).require_kafka(), market, PARTITIONS)

    def members(self, partition: int) -> list[int]:
        return [int(number) for number in np.flatnonzero(self._of_instrument == partition)]

    def write(self, partition: int, ticks: TickBlock, count: int, *, shape: str = "any") -> None:
        """The first `count` ticks of the block that belong to the partition."""
        numbers = self.members(partition)
        done = 0
        while done < count:
            row, place = divmod(done, len(numbers))
            steps = min((count - done) // len(numbers), self._chance.randint(1, 9))
            if shape == "block" or (shape == "any" and place == 0 and steps > 0 and self._chance.random() < 0.7):
                value = bytearray(tick_block_size(steps, len(numbers)))
                rows = slice(row, row + steps)
                encode_tick_block_into(
                    value,
                    0,
                    fingerprint=self._market.fingerprint,
                    partition=partition,
                    first_step=ticks.first_step + row,
                    times=ticks.time[rows],
                    instruments=np.array(numbers),
                    columns=np.array(numbers),
                    prices=ticks.prices[rows],
                    variances=ticks.variances[rows],
                )
                self.put(partition, bytes(value))
                done += steps * len(numbers)
            else:
                self._write_one(partition, ticks, row, numbers[place])
                done += 1

    def _write_one(self, partition: int, ticks: TickBlock, row: int, number: int) -> None:
        common: dict[str, Any] = {
            "fingerprint": self._market.fingerprint,
            "sequence": ticks.first_step + row,
            "time": int(ticks.time[row]),
            "instrument": number,
            "price": float(ticks.prices[row, number]),
            "variance": float(ticks.variances[row, number]),
        }
        if self._chance.random() < 0.5:
            self.put(partition, encode_tick(partition=partition, **common))
        else:
            self.put(partition, encode_tick_json(symbol=self._market.symbols[number], **common))

    def write_factors(self, ticks: TickBlock, count: int) -> None:
        """The first `count` steps of the block."""
        done = 0
        while done < count:
            rows = slice(done, done + min(count - done, self._chance.randint(1, 20)))
            increments, levels = ticks.factor_increments[rows], ticks.factor_levels[rows]
            value = bytearray(factor_block_size(*increments.shape))
            encode_factor_block_into(
                value,
                0,
                fingerprint=self._market.fingerprint,
                partition=0,
                first_step=ticks.first_step + done,
                times=ticks.time[rows],
                increments=increments,
                levels=levels,
            )
            self._producer.produce(FACTOR_TOPIC, bytes(value), partition=0)
            done = rows.stop

    def put(self, partition: int, value: bytes) -> None:
        self._producer.produce(TOPIC, value, partition=partition)

    def write_state(self, state: MarketState) -> None:
        """As of a feed that began with empty topics at that step."""
        offsets = {TOPIC: np.zeros(PARTITIONS, np.int64), FACTOR_TOPIC: np.zeros(1, np.int64)}
        parts = encode_state(
            state.arrays,
            fingerprint=self._market.fingerprint,
            step=state.step,
            version=state_form(self._market).version,
            key_set=0,
            offsets=offsets,
        )
        for key, value in parts:
            self._producer.produce(STATE_TOPIC, value, key=key, partition=0)

    def flush(self) -> None:
        assert self._producer.flush(10) == 0


def connections(cluster: MockCluster) -> Connections:
    return Connections(kafka={"bootstrap.servers": cluster.bootstrap_servers})


def held(cluster: MockCluster, market: Market) -> list[Columns]:
    values: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    with TopicReader(connections(cluster).require_kafka()) as reader:
        for message in reader.read(TOPIC, dict.fromkeys(range(PARTITIONS), 0)):
            values[message.partition() or 0].append(message.value() or b"")
    return [decode_ticks(own, fingerprint=market.fingerprint, partition=p) for p, own in enumerate(values)]


def assert_holds_factors(cluster: MockCluster, market: Market, expected: TickBlock) -> None:
    with TopicReader(connections(cluster).require_kafka()) as reader:
        values = [message.value() or b"" for message in reader.read(FACTOR_TOPIC, {0: 0})]
    found = decode_factor_blocks(values, fingerprint=market.fingerprint, partition=0, factors=2)
    assert found.sequence.tolist() == np.repeat(range(expected.first_step, expected.last_step + 1), 2).tolist()
    assert found.time.tolist() == np.repeat(expected.time, 2).tolist()
    assert found["increment"].tobytes() == expected.factor_increments.tobytes()
    assert found["level"].tobytes() == expected.factor_levels.tobytes()


def assert_holds(found: list[Columns], expected: TickBlock, members: list[list[int]]) -> None:
    steps = np.arange(expected.first_step, expected.last_step + 1)
    for columns, numbers in zip(found, members, strict=True):
        assert columns.sequence.tolist() == np.repeat(steps, len(numbers)).tolist()
        assert columns.number.tolist() == numbers * len(steps)
        assert columns.time.tolist() == np.repeat(expected.time, len(numbers)).tolist()
        assert columns["price"].tobytes() == expected.prices[:, numbers].tobytes()
        assert columns["variance"].tobytes() == expected.variances[:, numbers].tobytes()


@pytest.mark.parametrize(
    ("text", "mode"),
    [(EULER, "block"), (EULER, "json"), (QE_WITH_NIGHTS, "block"), (QE_WITH_NIGHTS, "sbe")],
    ids=["euler, block", "euler, json", "qe with nights, block", "qe with nights, sbe"],
)
def test_each_partition_goes_on_behind_its_last_tick(cluster: MockCluster, text: str, mode: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    market = Market.loads(text)
    ticks = market.simulate(steps=60).ticks()
    writer = Writer(cluster, market, chance)
    members = [writer.members(p) for p in range(PARTITIONS)]
    for partition, numbers in enumerate(members):
        writer.write(partition, ticks, chance.choice([0, 1, len(numbers), chance.randrange(40 * len(numbers))]))
    writer.write_factors(ticks, chance.choice([0, 1, chance.randrange(45)]))
    writer.flush()
    written = sum(len(columns) for columns in held(cluster, market))
    options = {"mode": "block"} if mode == "block" else {"mode": "tick", "encoding": mode}
    for steps in (chance.randint(20, 50), 60):
        summary = feed(market, connections(cluster), SignalControl(), steps=steps, **options)  # type: ignore[arg-type]
        assert summary.last_step == steps
        written += summary.ticks
    assert written == 60 * len(market.symbols)
    assert_holds(held(cluster, market), ticks, members)
    assert_holds_factors(cluster, market, ticks)


def test_a_topic_at_step_ten_to_the_twelfth_is_gone_on_with_at_once(cluster: MockCluster) -> None:
    market = Market.loads(EULER.replace('"1h"', '"1us"'))
    state = MarketState(10**12, advance(market, None, 0).arrays)
    ticks = next(market.stream(start_step=10**12 + 1, steps=50, block_steps=50, state=state))
    writer = Writer(cluster, market, random.Random(1))
    members = [writer.members(p) for p in range(PARTITIONS)]
    for partition, numbers in enumerate(members):
        writer.write(partition, ticks, (10 * partition + 3) * len(numbers) + partition)
    writer.write_factors(ticks, 12)
    writer.write_state(state)
    writer.flush()
    summary = feed(market, connections(cluster), SignalControl(), steps=10**12 + 50)
    assert summary.last_step == 10**12 + 50
    assert_holds(held(cluster, market), ticks, members)
    assert_holds_factors(cluster, market, ticks)


@pytest.mark.parametrize(
    ("what", "error", "reason"),
    [
        ("altered", TopicError, r"partition 1: step 20 is not what the simulation makes of it"),
        ("out of order", TopicError, r"partition 1: step 20 of number .* does not follow on"),
        ("another partition's", TopicError, r"partition 1: it holds a record of number .* does not belong there"),
        ("another market's", MalformedMessage, r"partition 1, offset \d+: .*market.*left over"),
        ("damaged", MalformedMessage, r"partition 1, offset \d+: "),
    ],
)
def test_an_end_that_is_not_this_markets_is_refused(
    cluster: MockCluster, what: str, error: type[Exception], reason: str
) -> None:
    market = Market.loads(EULER)
    ticks = market.simulate(steps=20).ticks()
    writer = Writer(cluster, market, random.Random(1))
    numbers = writer.members(1)
    writer.write(1, ticks.part(0, 19), 9 * len(numbers), shape="block")
    last = {"number": numbers[0], "row": 19, "price": 1.0, "fingerprint": market.fingerprint}
    if what == "altered":
        writer.write(1, ticks.part(9, 19), 10 * len(numbers), shape="block")
        last["price"] = float(np.nextafter(ticks.prices[19, numbers[0]], 0))
    elif what == "another partition's":
        last["number"] = writer.members(0)[0]
    elif what == "another market's":
        last["fingerprint"] = 1
    value = encode_tick(
        fingerprint=int(last["fingerprint"]),
        sequence=20,
        time=int(ticks.time[19]),
        partition=1,
        instrument=int(last["number"]),
        price=float(last["price"]),
        variance=float(ticks.variances[19, int(last["number"])]),
    )
    writer.put(1, value[:-1] if what == "damaged" else value)
    writer.flush()
    with pytest.raises(error, match=reason):
        feed(market, connections(cluster), SignalControl(), steps=30)
