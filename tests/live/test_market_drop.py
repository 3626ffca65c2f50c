"""`pseudofeed market drop` removes a market from all three servers, and leaves every other as it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from live.commands import result, start
from live.own_redis import OwnRedis
from live.pipe import Until, differences, fed_market, working
from pseudofeed.bus.markets import read_markets
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.cache.keys import quote_key, ready_key
from pseudofeed.cache.worker import cache_market
from pseudofeed.commands.drop import _redis_keys, find_traces
from pseudofeed.errors import PseudofeedError, UnknownMarket
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

STEPS = 50


def _left(connections: Connections, name: str) -> dict[str, object]:
    kafka = connections.require_kafka()
    with redis.Redis.from_url(connections.require_redis()) as client:
        keys = len(list(client.scan_iter(match=f"pseudofeed:*{name}*", count=1_000)))
    admin = AdminClient(dict(kafka))
    groups = [group.group_id for group in admin.list_consumer_groups().result(10).valid]
    return {
        "registered": name in read_markets(kafka),
        "topics": [topic for topic in admin.list_topics(timeout=10).topics if name in topic],
        "groups": [group for group in groups if name in group],
        "keys": keys,
    }


NOTHING = {"registered": False, "topics": [], "groups": [], "keys": 0}


@pytest.mark.parametrize("shared", [True, False])
def test_a_dropped_market_is_gone_and_others_stay(
    store_connections: Connections, market_name: str, tmp_path: Path, shared: bool
) -> None:
    connections = store_connections
    record = fed_market(connections, market_name, steps=STEPS)
    other = fed_market(connections, f"other-{market_name}"[:60], steps=STEPS)
    kept = [other] if shared else []
    for each in [record, *kept]:
        store_market(each, connections, Until())
        cache_market(each, connections, Until())
    dropped = result(start(connections, tmp_path, "market", "drop", market_name, "--yes", "--json"))
    assert dropped["topics"] == [f"ticks.{market_name}"]
    assert dropped["groups"] == [f"pseudofeed.cache.{market_name}", f"pseudofeed.store.{market_name}"]
    assert dropped["record"]
    assert dropped["keys"] >= 20
    assert (dropped["chunks"] > 0, dropped["rows"] > STEPS * 20) == (not shared, shared)
    left = _left(connections, market_name)
    if not shared:
        assert left["keys"] == 0
    assert not left["registered"]
    with psycopg.connect(connections.require_postgres()) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM market")]
        assert names == [each.name for each in kept]
    for each in kept:
        assert differences(connections, each, STEPS) == (STEPS * 20, 0, 0)
        assert _left(connections, each.name)["registered"]
    process = start(connections, tmp_path, "market", "drop", market_name, "--yes")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"no market '{market_name}' is registered" in err
    # The name may be used again.
    again = fed_market(connections, market_name, steps=20)
    assert store_market(again, connections, Until()).ticks == 400


def test_a_market_whose_workers_run_is_not_dropped(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    with working(record, plain_connections) as worker:
        while not worker.stored:
            time.sleep(0.02)
        with pytest.raises(PseudofeedError, match=f"workers of market {market_name} still run"):
            find_traces(market_name, plain_connections)
    assert find_traces(market_name, plain_connections).registered


def test_a_record_that_cannot_be_read_is_dropped_and_asked_about(
    plain_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    kafka = plain_connections.require_kafka()
    producer = Producer(dict(kafka))
    fed_market(plain_connections, f"{market_name}-2"[:60], steps=1)  # makes the topic of records
    producer.produce(MARKETS_TOPIC, key=market_name.encode(), value=json.dumps({"of": "a later version"}))
    assert producer.flush(10) == 0
    process = start(plain_connections, tmp_path, "market", "drop", market_name)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Remove the market's record for ever?" in out + err
    assert market_name in read_markets(kafka)
    dropped = result(start(plain_connections, tmp_path, "market", "drop", market_name, "--yes", "--json"))
    assert dropped["record"]
    assert market_name not in read_markets(kafka)
    with pytest.raises(UnknownMarket):
        find_traces(market_name, plain_connections)


def test_keys_are_removed_many_at_a_time(own_redis: Callable[..., OwnRedis]) -> None:
    server = own_redis()
    connections = Connections(redis=server.url)
    ours = [quote_key("ours", number % 4, f"S{number}") for number in range(5_000)] + [ready_key("ours")]
    others = [quote_key("ours2", 0, "S1"), quote_key("other", 0, "ours.1"), ready_key("other")]
    server.client.mset(dict.fromkeys([*ours, *others], 1))
    assert _redis_keys("ours", connections, remove=False) == len(ours)
    before = server.client.info("stats")["total_reads_processed"]
    assert _redis_keys("ours", connections, remove=True) == len(ours)
    # A pipeline of a thousand commands comes in two or three reads of 16 KiB or more.
    assert server.client.info("stats")["total_reads_processed"] - before < 100
    assert sorted(server.client.scan_iter(count=1_000)) == sorted(others)
    assert _redis_keys("ours", connections, remove=True) == 0


def test_what_is_no_name_of_a_market_drops_nothing(plain_connections: Connections, market_name: str) -> None:
    fed_market(plain_connections, market_name, steps=1)
    for name in ("*", market_name[:-1] + "?", market_name.upper(), ""):
        with pytest.raises(UnknownMarket, match="is not the name of a market"):
            find_traces(name, plain_connections)
