"""The newest quote wins, and Redis may be flushed or killed at any time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import redis
from confluent_kafka import Producer, TopicPartition

from live.own_redis import EVERY_REDIS, OwnRedis, eventually
from live.pipe import Until, bits, fed_market, feed_steps
from pseudofeed.bus.clients import admin_client
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.cache.keys import channel, quote_key, ready_key
from pseudofeed.cache.reader import CachedQuotes, QuoteReader
from pseudofeed.cache.worker import CacheSink, cache_market
from pseudofeed.consume import Batch
from pseudofeed.encode import encode_tick, instrument_partitions
from pseudofeed.errors import ServerError
from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market


def _with(connections: Connections, server: OwnRedis) -> Connections:
    return replace(connections, redis=server.url)


def _read(client: redis.Redis, record: MarketRecord) -> CachedQuotes:
    symbols = record.market.symbols
    partitions = instrument_partitions(symbols, record.partitions).tolist()
    keys = [quote_key(record.name, p, symbol) for p, symbol in zip(partitions, symbols, strict=True)]
    return QuoteReader(client, keys).read(range(len(keys)))


def _shows_step(client: redis.Redis, record: MarketRecord, step: int) -> bool:
    """Is every quote the simulation's at that step, bit for bit, and the market ready?"""
    market = record.market
    quotes = _read(client, record)
    if not client.exists(ready_key(record.name)) or len(quotes) < len(market.symbols):
        return False
    if (quotes.sequence != step).any():
        return False
    paths = market.simulate(steps=step)
    session = paths.prices[market.clock.session(step).first_step :]
    assert (quotes.time == paths.time[step]).all()
    for found, right in (
        (quotes.price, paths.prices[step]),
        (quotes.variance, paths.variances[step]),
        (quotes.open, session[0]),
        (quotes.high, session.max(axis=0)),
        (quotes.low, session.min(axis=0)),
    ):
        assert (bits(found) == bits(right)).all()
    return True


@EVERY_REDIS
def test_quotes_come_back_after_a_flush_and_a_kill(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    record = fed_market(connections, market_name, steps=200)
    control = Until(draining=False)
    summaries: list[object] = []
    worker = threading.Thread(
        target=lambda: summaries.append(cache_market(record, _with(connections, server), control))
    )
    worker.start()
    try:
        eventually(lambda: _shows_step(server.client, record, 200), 20)
        server.client.flushall()
        eventually(lambda: _shows_step(server.client, record, 200), 5)
        server.client.script_flush()
        feed_steps(connections, record, first=201, steps=40)
        eventually(lambda: _shows_step(server.client, record, 240), 5)
        server.kill()
        feed_steps(connections, record, first=241, steps=40)
        server.start()
        eventually(lambda: _shows_step(server.client, record, 280), 5)
    finally:
        control.stopping = True
        worker.join(20)
    assert len(summaries) == 1


@pytest.mark.parametrize("known_from", ["redis", "store", "topic"])
def test_a_worker_that_begins_in_mid_session_knows_all_of_it(
    plain_connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis], known_from: str
) -> None:
    server = own_redis()
    connections = _with(plain_connections, server)
    record = fed_market(connections, market_name, steps=200)
    if known_from == "redis":
        assert cache_market(record, connections, Until()).ticks == 200 * 20
        assert _shows_step(server.client, record, 200)
    elif known_from == "store":
        store_market(record, connections, Until())
    feed_steps(connections, record, first=201, steps=10)
    summary = cache_market(record, connections, Until())
    assert _shows_step(server.client, record, 210)
    assert summary.last_step == 210
    # What was known is not read again, but for a message a partition.
    assert (summary.ticks == 210 * 20) if known_from == "topic" else (summary.ticks <= 10 * 20 + 3 * 140)


def test_a_session_is_read_from_its_beginning(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    connections = replace(_with(connections, server), postgres=None)
    record = fed_market(connections, market_name, steps=200, start="2026-03-02T23:57:40Z")
    assert record.market.clock.session(200).first_step == 140
    summary = cache_market(record, connections, Until())
    assert 61 * 20 <= summary.ticks <= 61 * 20 + 3 * 140
    assert _shows_step(server.client, record, 200)


def test_a_topic_of_single_ticks_is_begun_with_like_one_of_blocks(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    """The last message has one instrument only, and the session begins between two messages."""
    server = own_redis()
    connections = replace(_with(connections, server), postgres=None)
    record = fed_market(connections, market_name, steps=0, instruments=12, partitions=2, start="2026-03-02T23:58:20Z")
    partition_of = instrument_partitions(record.market.symbols, 2).tolist()
    producer = Producer(connections.require_kafka())
    for block in record.market.stream(steps=160, block_steps=160):
        for row, (prices, variances) in enumerate(zip(block.prices.tolist(), block.variances.tolist(), strict=True)):
            for number, (price, variance) in enumerate(zip(prices, variances, strict=True)):
                message = encode_tick(
                    fingerprint=record.fingerprint, partition=partition_of[number], sequence=row + 1,
                    time=int(block.time[row]), instrument=number, price=price, variance=variance,
                )  # fmt: skip
                producer.produce(TICK.topic_of(market_name), message, partition=partition_of[number])
        for partition in range(2):
            producer.produce(TICK.topic_of(market_name), b"no ticks", partition=partition)  # passed over
    assert producer.flush(20) == 0
    summary = cache_market(record, connections, Until())
    assert summary.ticks == (160 - 99) * 12  # the session's first step is 100
    assert _shows_step(server.client, record, 160)


def test_a_session_whose_beginning_is_lost_has_no_open(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    connections = replace(_with(connections, server), postgres=None)
    record = fed_market(connections, market_name, steps=200)
    topic = TICK.topic_of(market_name)
    admin = admin_client(connections.require_kafka())
    for future in admin.delete_records([TopicPartition(topic, p, 3) for p in range(3)]).values():
        future.result(20)
    cache_market(record, connections, Until())
    quotes = _read(server.client, record)
    assert (quotes.sequence == 200).all()
    assert np.isnan(quotes.open).all()
    key = quote_key(market_name, int(instrument_partitions(record.market.symbols, 3)[0]), record.market.symbols[0])
    assert not {"session", "open", "high", "low"} & server.client.hgetall(key).keys()
    assert server.client.exists(ready_key(market_name))


def test_what_somebody_has_written_over_is_written_whole_again(connections: Connections, market_name: str) -> None:
    market = Market.sample(instruments=3, factors=1, seed=1, name=market_name, start="2026-03-02T14:30:00Z")
    record = MarketRecord(market_name, dict(market.specification), 1, 1_700_000_000_000, market.fingerprint)
    sink = CacheSink(record, connections)
    sink.positions(TopicInfo(None, np.zeros(1, np.int64), np.zeros(1, np.int64)), [0])

    def write(step: int, price: float) -> None:
        time_ns = np.full(3, int(market.clock.times(step, 1)[0]))
        columns = Columns(
            TICK, time_ns, np.full(3, step), np.arange(3, dtype=np.int32), np.full(3, price), np.full(3, 0.04)
        )
        sink.write([Batch(0, step - 1, step, columns)])

    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as client:
        key = quote_key(market_name, 0, market.symbols[1])
        for step, price in enumerate((10.0, 12.0, 9.0, 11.0), start=1):
            write(step, price)
        before = client.hgetall(key)
        assert [before[name] for name in ("sequence", "open", "high", "low")] == ["4", "10.0", "12.0", "9.0"]
        client.hset(key, "high", "rubbish")
        client.hdel(key, "epoch")
        sink.idle()  # comes once a second, and is done once a second where it does not come
        write(5, 11.0)
        after = client.hgetall(key)
        assert {**before, **{name: after[name] for name in ("sequence", "time", "time_ns")}} == after
        client.delete(key)
        write(6, 11.0)
        assert client.hget(key, "low") == "9.0"
    sink.close()


@EVERY_REDIS
def test_an_older_quote_never_replaces_a_newer_one(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    connections = _with(connections, own_redis())
    market = Market.sample(instruments=3, factors=1, seed=1, name=market_name, start="2026-03-02T14:30:00Z")
    record = MarketRecord(market_name, dict(market.specification), 1, 1_700_000_000_000, market.fingerprint)
    topic = TopicInfo(None, np.zeros(1, np.int64), np.zeros(1, np.int64))

    def write(sequence: int, price: float, epoch: int = record.epoch) -> None:
        sink = CacheSink(replace(record, epoch=epoch), connections)
        sink.open()
        sink.positions(topic, [0])
        columns = Columns(
            TICK,
            np.full(3, 1_772_461_800_123_456_789 + sequence),
            np.full(3, sequence),
            np.arange(3, dtype=np.int32),
            np.full(3, price),
            np.full(3, -0.0),
        )
        sink.write([Batch(0, 0, 1, columns)])
        sink.close()

    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as client:
        key = quote_key(market_name, 0, market.symbols[1])
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe(channel(market_name, 0))
        subscriber.get_message(timeout=1)
        # 9 and 10: compared as numbers, not as texts.
        for sequence, price, epoch, standing in (
            (9, 0.1, record.epoch, "0.1"),
            (10, 0.2, record.epoch, "0.2"),
            (9, 0.3, record.epoch, "0.2"),
            (10, 0.4, record.epoch, "0.2"),
            (11, 0.5, record.epoch - 1, "0.2"),
            (1, 1 / 3, record.epoch + 1, "0.3333333333333333"),
        ):
            write(sequence, price, epoch)
            assert client.hget(key, "price") == standing
        assert client.hgetall(key) == {
            "epoch": str(record.epoch + 1),
            "sequence": "1",
            "time": "2026-03-02T14:30:00.123456790Z",
            "time_ns": "1772461800123456790",
            "price": "0.3333333333333333",
            "variance": "-0.0",
            "session": "2026-03-02T14:30:00Z",
            "open": "0.3333333333333333",
            "high": "0.3333333333333333",
            "low": "0.3333333333333333",
        }
        published = [json.loads(subscriber.get_message(timeout=1)["data"]) for _ in range(3)]
        assert subscriber.get_message(timeout=0.05) is None
        subscriber.close()
        assert [message["quotes"][1]["price"] for message in published] == [0.1, 0.2, 1 / 3]
        assert published[0]["quotes"][0].keys() == {"symbol", "sequence", "time", "price", "variance"}
        assert published[2] == {
            "epoch": record.epoch + 1,
            "quotes": [
                {
                    "symbol": symbol,
                    "sequence": 1,
                    "time": "2026-03-02T14:30:00.123456790Z",
                    "price": 1 / 3,
                    "variance": -0.0,
                    "session": "2026-03-02T14:30:00Z",
                    "open": 1 / 3,
                    "high": 1 / 3,
                    "low": 1 / 3,
                }
                for symbol in market.symbols
            ],
        }


def test_no_server_and_a_wrong_password_are_named_without_secrets(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    record = fed_market(connections, market_name, steps=2)
    server.client.config_set("requirepass", "the-right-word")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    for port, reason in ((server.port, "password"), (nobody, "refused")):
        begun = time.monotonic()
        with pytest.raises(ServerError) as caught:
            cache_market(record, replace(connections, redis=f"redis://:marker-word@127.0.0.1:{port}/0"), Until())
        assert time.monotonic() - begun < 6
        text = str(caught.value)
        assert f"127.0.0.1:{port}" in text
        assert reason in text.lower()
        assert "PSEUDOFEED_REDIS" in text
        assert "marker-word" not in text
