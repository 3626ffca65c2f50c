"""psql, redis-cli, kcat and a plain consumer see what README.md and docs/wire.md say they see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from psycopg.conninfo import conninfo_to_dict

from live.pipe import START, Until, fed_market
from pseudofeed.cache.worker import cache_market
from pseudofeed.encode import instrument_partitions
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

STEPS = 300
LIBPQ = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}


def test_psql_reads_the_history_by_symbol(
    store_connections: Connections, market_name: str, client: Callable[..., str]
) -> None:
    record = fed_market(store_connections, market_name, steps=STEPS)
    store_market(record, store_connections, Until())
    settings = conninfo_to_dict(store_connections.require_postgres())
    query = (
        f"SELECT time, price, variance FROM tick_history WHERE market = '{market_name}' AND symbol = 'BRVO' "
        "ORDER BY time"
    )
    out = client(
        "psql", "--no-psqlrc", "--csv", "--tuples-only", "--command", query,
        environ={"PGTZ": "UTC", **{LIBPQ[key]: str(value) for key, value in settings.items() if key in LIBPQ}},
    )  # fmt: skip
    number = record.market.number_of("BRVO")
    paths = record.market.simulate(steps=STEPS)
    expected = list(zip(paths.time[1:], paths.prices[1:, number], paths.variances[1:, number], strict=True))
    found = [line.split(",") for line in out.splitlines()]
    assert [(float(price), float(variance)) for _, price, variance in found] == [row[1:] for row in expected]
    moments = [np.datetime64(datetime.fromisoformat(time).replace(tzinfo=None), "ns") for time, _, _ in found]
    assert [int(moment.astype(np.int64)) for moment in moments] == [row[0] for row in expected]


def test_redis_cli_shows_a_quote(connections: Connections, market_name: str, client: Callable[..., str]) -> None:
    record = fed_market(connections, market_name, steps=STEPS)
    cache_market(record, connections, Until())
    ticks = record.market.simulate(steps=STEPS).ticks()
    partitions = instrument_partitions(record.market.symbols, record.partitions)
    url = urlsplit(connections.require_redis())
    environ = {"REDISCLI_AUTH": unquote(url.password)} if url.password else {}
    address = ["-h", url.hostname or "localhost", "-p", str(url.port or 6379), "-n", url.path.strip("/") or "0"]
    for number, symbol in list(enumerate(record.market.symbols))[:3]:
        key = f"pseudofeed:{{{market_name}.{partitions[number]}}}:quote:{symbol}"
        lines = client("redis-cli", *address, "HGETALL", key, environ=environ).splitlines()
        assert dict(zip(lines[::2], lines[1::2], strict=True)) == {
            "epoch": str(record.epoch),
            "sequence": str(STEPS),
            "time": "2026-03-02T14:35:00.000000000Z",
            "time_ns": str(ticks.time[-1]),
            "price": repr(float(ticks.prices[-1, number])),
            "variance": repr(float(ticks.variances[-1, number])),
            "session": START,
            "open": repr(float(ticks.prices[0, number])),
            "high": repr(float(ticks.prices[:, number].max())),
            "low": repr(float(ticks.prices[:, number].min())),
        }
    assert client("redis-cli", *address, "GET", f"pseudofeed:{market_name}:ready", environ=environ).strip() == str(
        record.epoch
    )


def test_kcat_lists_the_topic_and_prints_the_market(
    connections: Connections, market_name: str, client: Callable[..., str], tmp_path: Path
) -> None:
    record = fed_market(connections, market_name, steps=10)
    settings = tmp_path / "kcat.conf"  # passwords, if there are any, stay out of the list of processes
    settings.write_text("".join(f"{key}={value}\n" for key, value in connections.require_kafka().items()))
    listed = client("kcat", "-F", str(settings), "-L", "-t", f"ticks.{market_name}")
    assert f'topic "ticks.{market_name}" with {record.partitions} partitions' in listed
    out = client("kcat", "-F", str(settings), "-q", "-C", "-t", "pseudofeed.markets", "-e", "-f", "%k\t%s\n")
    values = dict(line.split("\t", 1) for line in out.splitlines())
    found = json.loads(values[market_name])
    assert (found["name"], found["partitions"]) == (market_name, record.partitions)
    assert found["specification"] == record.specification
    assert int(found["fingerprint"], 16) == record.market.fingerprint


def test_a_plain_consumer_reads_the_topic_as_the_documentation_shows(
    connections: Connections, market_name: str
) -> None:
    """By the code of docs/wire.md and the market's JSON, without a line of pseudofeed."""
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code, names)
    record = fed_market(connections, market_name, steps=STEPS)
    paths = record.market.simulate(steps=STEPS)
    consumer = Consumer(
        {
            **connections.require_kafka(),
            "group.id": "interop",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(f"ticks.{market_name}", p, 0) for p in range(record.partitions)])
    seen = np.zeros((STEPS + 1, 20), np.int64)
    ended = 0
    while ended < record.partitions:
        message = consumer.poll(30)
        assert message is not None
        if message.error():
            ended += 1
            continue
        fingerprint, partition, sequences, numbers, times, ticks = names["read_tick_block"](message.value())
        assert (fingerprint, partition) == (record.fingerprint, message.partition())
        assert message.key() is None
        assert np.array_equal(times, paths.time[sequences])
        place = np.ix_(sequences, numbers)
        assert np.array_equal(ticks["price"], paths.prices[place])
        assert np.array_equal(ticks["variance"], paths.variances[place])
        seen[place] += 1
    consumer.close()
    assert (seen[1:] == 1).all()
    assert (seen[0] == 0).all()
