"""The producer and the topics on the real broker: what it refuses is told, settings pass through."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from pseudofeed.bus import markets
from pseudofeed.bus.markets import read_market, register_market
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import MARKETS_TOPIC_CONFIG, check_broker, delete_topic, describe, ensure_topic, topic_config
from pseudofeed.encode._encode import decode_ticks
from pseudofeed.errors import PublishError, ServerError, TopicError
from pseudofeed.market import Market
from pseudofeed.publish.producer import Producer
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.simulate.paths import TickBlock

PARTITION_OF = np.array([0, 1, 0, 1, 0], dtype=np.int32)


def make_block(first_step: int, steps: int, *, year: int = 2026) -> TickBlock:
    start = (year - 1970) * 31_556_952 * 10**9
    draws = np.random.default_rng(first_step).normal(size=(2, steps, len(PARTITION_OF)))
    none = np.zeros((steps, 0))
    return TickBlock(first_step, start + np.arange(steps) * 10**9, draws[0], draws[1], none, none)


def make_producer(kafka: dict[str, str], topic: str, **properties: str) -> Producer:
    given = {name.replace("_", "."): value for name, value in properties.items()}
    return Producer(
        {**kafka, **given}, topic, symbols=list("ABCDE"), partitions=PARTITION_OF, partition_count=2, fingerprint=1
    )


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
def test_compression_passes_through(connections: Connections, market_name: str, compression: str) -> None:
    kafka, topic = connections.require_kafka(), TICK.topic_of(market_name)
    ensure_topic(kafka, topic, 2, topic_config(TICK))
    block = make_block(1, 5_000)
    with make_producer(kafka, topic, compression_type=compression) as producer:
        producer.begin(offsets=describe(kafka, topic).high)
        producer.publish(block)
    with TopicReader(kafka) as reader:
        values = [m.value() or b"" for m in reader.read(topic, {1: 0})]
    ticks = decode_ticks(values, fingerprint=1, partition=1)
    assert ticks["price"].tobytes() == np.ascontiguousarray(block.prices[:, [1, 3]]).tobytes()


def test_a_market_may_lie_in_the_past_or_ahead_of_the_brokers_clock(connections: Connections, market_name: str) -> None:
    kafka, topic = connections.require_kafka(), TICK.topic_of(market_name)
    ensure_topic(kafka, topic, 2, topic_config(TICK))
    with make_producer(kafka, topic) as producer:
        producer.publish(make_block(1, 10, year=1960))
        producer.publish(make_block(11, 10, year=1990))
        producer.publish(make_block(21, 10, year=2090))
    assert describe(kafka, topic).high.tolist() == [3, 3]


def test_a_message_that_the_topic_refuses_is_told_with_partition_and_steps(
    connections: Connections, market_name: str
) -> None:
    kafka, topic = connections.require_kafka(), TICK.topic_of(market_name)
    ensure_topic(kafka, topic, 2, {**topic_config(TICK), "max.message.bytes": "2000"})
    producer = make_producer(kafka, topic)
    producer.publish(make_block(1, 10))
    assert producer.flush() == 0
    producer.publish(make_block(11, 1_000))
    with pytest.raises(PublishError, match=r"partition [01] of .*, steps 11 to 1010: .*too large"):
        producer.flush()
    producer.close()
    assert describe(kafka, topic).high.tolist() == [1, 1]


def test_a_topic_with_other_partitions_is_refused_and_a_new_one_has_a_new_id(
    connections: Connections, market_name: str
) -> None:
    kafka, topic = connections.require_kafka(), TICK.topic_of(market_name)
    ensure_topic(kafka, topic, 2, topic_config(TICK))
    ensure_topic(kafka, topic, 2, topic_config(TICK))
    with pytest.raises(TopicError, match="has 2 partitions, not 3"):
        ensure_topic(kafka, topic, 3, topic_config(TICK))
    before = describe(kafka, topic).topic_id
    delete_topic(kafka, topic)
    delete_topic(kafka, topic)
    with pytest.raises(TopicError, match="no topic"):
        describe(kafka, topic)
    ensure_topic(kafka, topic, 3, topic_config(TICK))
    assert describe(kafka, topic).topic_id not in (None, before)


def test_a_market_of_10_000_listed_instruments_is_registered(
    connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, topic = connections.require_kafka(), f"markets.{market_name}"
    monkeypatch.setattr(markets, "MARKETS_TOPIC", topic)
    draw = random.Random(1).uniform
    rows = "\n".join(
        f'[[instruments.list]]\nsymbol = "S{i}"\ninitial_price = {draw(10, 90)!r}\nkappa = {draw(1, 2)!r}\n'
        f"theta = {draw(0.1, 0.2)!r}\nxi = {draw(0.1, 0.2)!r}\nfactor_loadings = [{draw(0, 1)!r}]"
        for i in range(10_000)
    )
    market = Market.loads(
        f"""
[market]
name = "{market_name}"
[clock]
start = 2026-03-02T14:30:00Z
step = "1s"
[factors]
names = ["market"]
volatilities = [0.16]
correlations = [[1.0]]
{rows}
"""
    )
    ensure_topic(kafka, topic, 1, {**MARKETS_TOPIC_CONFIG, "max.message.bytes": "500000"})
    with pytest.raises(
        ServerError, match=r"too large \(.* bytes before compression; raise max\.message\.bytes of topic"
    ):
        register_market(kafka, market)
    delete_topic(kafka, topic)
    record = register_market(kafka, market)
    assert len(record.to_json()) > 1_200_000
    assert read_market(kafka, market_name).market == market


def test_a_server_that_is_not_there_or_refuses_us_is_told_within_seconds(
    connections: Connections, capfd: pytest.CaptureFixture[str]
) -> None:
    kafka = connections.require_kafka()
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:1 does not answer.*PSEUDOFEED_KAFKA"):
        check_broker({"bootstrap.servers": "127.0.0.1:1"})
    assert time.monotonic() - began < 6
    secret = {"sasl.mechanism": "PLAIN", "sasl.username": "somebody", "sasl.password": "marker-password"}
    with pytest.raises(ServerError, match=r"refuses the connection|does not answer") as refused:
        check_broker({**kafka, "security.protocol": "sasl_plaintext", **secret})
    assert "marker-password" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
