"""Verify on the real servers: one thing is changed by hand in one of them, and verify names exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pytest
import redis
from confluent_kafka import Producer

from live.commands import result, start
from live.pipe import Until, fed_market
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import delete_topic, describe, ensure_topic, topic_config
from pseudofeed.cache.worker import cache_market
from pseudofeed.encode import (
    decode_factor_blocks,
    encode_factor_block_into,
    instrument_partitions,
    peek_factor_block,
)
from pseudofeed.records import FACTOR, TICK
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market
from pseudofeed.verify import Difference, StageTally, compare, verify_market

STEPS, INSTRUMENTS = 400, 8
STEP, NUMBER = 123, 5


def counts(tally: StageTally) -> tuple[int, int, int, int]:
    return tally.missing, tally.repeated, tally.altered, tally.unexpected


def text(time_ns: int, price: float, variance: float) -> str:
    return f"{np.datetime64(time_ns, 'ns')}Z price {price!r} variance {variance!r}"


class Tick:
    """The tick that is damaged: step STEP of instrument NUMBER (or another step)."""

    def __init__(self, record: MarketRecord, step: int = STEP) -> None:
        (block,) = record.market.stream(start_step=step, steps=1)
        self.symbol = record.market.symbols[NUMBER]
        self.step = step
        self.time = int(block.time[0])
        self.price, self.variance = float(block.prices[0, NUMBER]), float(block.variances[0, NUMBER])
        self.text = text(self.time, self.price, self.variance)


def assert_names(found: Difference | None, stage: str, kind: str, record: MarketRecord, tick: Tick) -> None:
    assert found is not None
    named = (found.stage, found.kind, found.market, found.symbol, found.step)
    assert named == (stage, kind, record.name, tick.symbol, tick.step)


@pytest.mark.time_limit(240)
def test_a_row_changed_in_the_store_is_named(
    store_connections: Connections, market_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = store_connections
    record = fed_market(connections, market_name, steps=STEPS, instruments=INSTRUMENTS, factors=True)
    store_market(record, connections, Until())
    # Windows of 50 steps: a difference is found in whichever of them it lies.
    monkeypatch.setattr(compare, "_WINDOW_TICKS", 50 * INSTRUMENTS)
    stages = ("kafka", "postgres")

    def tally() -> StageTally:
        report = verify_market(record, connections, stages=stages)
        assert report.steps == STEPS
        assert report.stages["kafka"].equal
        found = report.stages["postgres"]
        assert found.expected == STEPS * INSTRUMENTS
        assert report.first_difference == found.first_difference
        assert report.equal == found.equal
        return found

    with psycopg.connect(connections.require_postgres(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT instrument_id FROM instrument JOIN market USING (market_id) WHERE name = %s AND number = %s",
            (market_name, NUMBER),
        ).fetchone()
        assert row is not None
        tick, number = Tick(record), row[0]
        at = f"'{np.datetime64(tick.time, 'ns')}Z'::timestamptz"
        this = f"instrument_id = {number} AND time = {at}"
        values = f"{number}, {tick.price!r}, {tick.variance!r}"
        insert = "INSERT INTO tick (time, instrument_id, price, variance) VALUES"

        @contextmanager
        def damaged(do: str, undo: str) -> Iterator[StageTally]:
            assert connection.execute(do.encode()).rowcount == 1
            yield tally()
            connection.execute(undo.encode())

        assert counts(tally()) == (0, 0, 0, 0)
        other = float(np.nextafter(tick.price, 0))  # one bit
        with damaged(
            f"UPDATE tick SET price = {other!r} WHERE {this}", f"UPDATE tick SET price = {tick.price!r} WHERE {this}"
        ) as found:
            assert counts(found) == (0, 0, 1, 0)
            assert_names(found.first_difference, "postgres", "altered", record, tick)
            assert found.first_difference is not None
            assert found.first_difference.expected == tick.text
            assert found.first_difference.found == text(tick.time, other, tick.variance)
            report = result(
                start(connections, tmp_path, "verify", market_name, "--stage", "postgres", "--json"), code=1
            )
            assert (report["equal"], report["postgres"]["altered"], "redis" in report) == (False, 1, False)
            assert report["first_difference"]["symbol"] == tick.symbol
            assert report["first_difference"]["found"] == text(tick.time, other, tick.variance)
            process = start(connections, tmp_path, "verify", market_name, "--stage", "postgres")
            out, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (1, "")
            assert out.splitlines()[-1] == str(found.first_difference)
        with damaged(f"DELETE FROM tick WHERE {this}", f"{insert} ({at}, {values})") as found:
            assert counts(found) == (1, 0, 0, 0)
            assert_names(found.first_difference, "postgres", "missing", record, tick)
            assert found.first_difference is not None
            assert (found.first_difference.expected, found.first_difference.found) == (tick.text, "nothing")
        with damaged(
            f"{insert} ({at}, {values})",
            f"DELETE FROM tick WHERE ctid = (SELECT max(ctid) FROM tick WHERE {this}) AND {this}",
        ) as found:
            assert counts(found) == (0, 1, 0, 0)
            assert_names(found.first_difference, "postgres", "repeated", record, tick)
        assert counts(tally()) == (0, 0, 0, 0)
        for seconds in ("0.5", "-124.0", "278.0", "2592000"):  # between two steps, before, just behind, a month later
            moment = f"{at} + interval '{seconds} seconds'"
            if record_tier_is_plain(connection) and seconds == "2592000":
                continue  # no partition takes it
            with damaged(
                f"{insert} ({moment}, {values})", f"DELETE FROM tick WHERE instrument_id = {number} AND time = {moment}"
            ) as found:
                assert counts(found) == (0, 0, 0, 1), seconds
                assert found.first_difference is not None
                assert (found.first_difference.kind, found.first_difference.symbol) == ("unexpected", tick.symbol)
                assert found.first_difference.found.endswith(f"price {tick.price!r} variance {tick.variance!r}")
        assert counts(tally()) == (0, 0, 0, 0)


def record_tier_is_plain(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = 'tick'::regclass").fetchone()
    return row is not None and bool(row[0])


def test_a_quote_changed_in_redis_is_named(connections: Connections, market_name: str) -> None:
    record = fed_market(connections, market_name, steps=STEPS, instruments=INSTRUMENTS, factors=True)
    cache_market(record, connections, Until())
    tick = Tick(record, STEPS)
    partition = instrument_partitions(record.market.symbols, record.partitions)[NUMBER]
    key = f"pseudofeed:{{{market_name}.{partition}}}:quote:{tick.symbol}"

    def tally() -> StageTally:
        report = verify_market(record, connections, stages=("kafka", "redis"))
        assert report.steps == STEPS
        assert report.stages["kafka"].equal
        return report.stages["redis"]

    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as client:
        right = client.hgetall(key)
        assert counts(tally()) == (0, 0, 0, 0)
        for field, wrong, expected in (
            ("price", repr(float(np.nextafter(tick.price, 0))), "altered"),
            ("price", "much", "altered"),
            ("variance", None, "altered"),
            ("time", "2026-03-02T14:30:00.000000000Z", "altered"),
            ("time_ns", str(tick.time + 1), "altered"),
            ("epoch", str(record.epoch + 1), "altered"),
            ("high", repr(tick.price), "altered"),
            ("low", None, "altered"),
            ("session", "2026-03-02T00:00:00Z", "altered"),
            ("sequence", str(STEPS - 1), "missing"),
            ("sequence", str(2**52), "unexpected"),
            (None, None, "missing"),
        ):
            if field is None:
                client.delete(key)
            elif wrong is None:
                client.hdel(key, field)
            else:
                client.hset(key, field, wrong)
            found = tally()
            kinds = dict(zip(("missing", "repeated", "altered", "unexpected"), counts(found), strict=True))
            assert kinds == dict.fromkeys(kinds, 0) | {expected: 1}, field
            assert_names(found.first_difference, "redis", expected, record, tick)
            assert found.first_difference is not None
            assert found.first_difference.expected.startswith(tick.text)
            if field is None:
                assert found.first_difference.found == "no quote"
            elif wrong is not None:
                assert wrong in found.first_difference.found
            client.hset(key, mapping=right)
        assert counts(tally()) == (0, 0, 0, 0)


def test_a_message_of_no_feed_is_named(connections: Connections, market_name: str) -> None:
    """Behind the end of a partition: a damaged block, then one of the blocks that are there already."""
    record = fed_market(connections, market_name, steps=STEPS, instruments=INSTRUMENTS, factors=True)
    kafka, topic = connections.require_kafka(), TICK.topic_of(market_name)
    partition_of = instrument_partitions(record.market.symbols, record.partitions)
    partition = int(partition_of[NUMBER])
    members = np.flatnonzero(partition_of == partition)
    with TopicReader(kafka) as reader:
        first = next(iter(reader.read(topic, {partition: 0})))
    value = first.value()
    assert value is not None
    producer = Producer(kafka)

    def append(message: bytes) -> str:
        end = int(describe(kafka, topic).high[partition])
        producer.produce(topic, message, partition=partition)
        assert producer.flush(20) == 0
        return f"{topic} partition {partition} offset {end}"

    flipped = bytearray(value)
    flipped[len(value) // 2] ^= 0x10
    where = append(bytes(flipped))
    report = verify_market(record, connections, stages=["kafka"])
    assert (report.steps, report.equal, counts(report.stages["kafka"])) == (STEPS, False, (0, 0, 0, 1))
    named = report.first_difference
    assert named is not None
    assert (named.stage, named.kind, named.market, named.where) == ("kafka", "unexpected", market_name, where)
    assert "checksum" in named.found

    where = append(value)
    report = verify_market(record, connections, stages=["kafka"])
    assert report.stages["kafka"].ticks == STEPS * INSTRUMENTS + report.stages["kafka"].repeated
    assert report.stages["kafka"].repeated % len(members) == 0
    assert (report.steps, counts(report.stages["kafka"])) == (STEPS, (0, report.stages["kafka"].repeated, 0, 1))
    named = report.first_difference
    assert named is not None
    assert (named.kind, named.step, named.where) == ("repeated", 1, where)
    assert named.symbol in {record.market.symbols[i] for i in members}


def test_a_factor_changed_in_the_topic_or_the_store_is_named(
    plain_connections: Connections, market_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic of factors is the market's own with one message left out, then one altered and one repeated."""
    connections = plain_connections
    record = fed_market(connections, market_name, steps=STEPS, instruments=INSTRUMENTS, factors=True)
    store_market(record, connections, Until())
    # Windows of 50 steps: a difference is found in whichever of them it lies.
    monkeypatch.setattr(compare, "_WINDOW_TICKS", 50 * INSTRUMENTS)
    kafka, topic = connections.require_kafka(), FACTOR.topic_of(market_name)
    name = record.market.factors.names[1]
    with TopicReader(kafka) as reader:
        messages = [message.value() or b"" for message in reader.read(topic, {0: 0})]

    def tallies() -> tuple[StageTally, StageTally]:
        report = verify_market(record, connections, stages=("kafka", "postgres"))
        assert report.steps == STEPS
        assert report.stages["kafka"].equal
        assert report.stages["postgres"].equal
        for part in ("kafka_factors", "postgres_factors"):
            assert report.stages[part].expected == STEPS * 2
        assert report.equal == (report.first_difference is None)
        return report.stages["kafka_factors"], report.stages["postgres_factors"]

    assert [counts(tally) for tally in tallies()] == [(0, 0, 0, 0)] * 2
    with psycopg.connect(connections.require_postgres(), autocommit=True) as connection:
        changed = connection.execute(
            """UPDATE factor_level SET level = level + 1 WHERE time = %s::timestamptz
               AND factor_id = (SELECT factor_id FROM factor WHERE name = %s) RETURNING increment, level""",
            (f"{np.datetime64(Tick(record).time, 'ns')}Z", name),
        ).fetchone()
    assert changed is not None
    in_kafka, in_store = tallies()
    assert (counts(in_kafka), counts(in_store)) == ((0, 0, 0, 0), (0, 0, 1, 0))
    found = in_store.first_difference
    assert found is not None
    assert (found.what, found.symbol, found.step, found.where) == ("factor", name, STEP, "table factor_level")
    assert found.found.endswith(f"Z increment {changed[0]!r} level {changed[1]!r}")
    shown = start(connections, tmp_path, "verify", market_name, "--stage", "postgres")
    out, _ = shown.communicate(timeout=60)
    assert shown.returncode == 1
    assert f"postgres: altered factor: market {market_name}, factor {name}, step {STEP}, table factor_level" in out

    def refill(values: list[bytes]) -> StageTally:
        delete_topic(kafka, topic)
        ensure_topic(kafka, topic, 1, topic_config(TICK))
        producer = Producer(kafka)
        for value in values:
            producer.produce(topic, value, partition=0)
        assert producer.flush(20) == 0
        return tallies()[0]

    at = next(i for i, message in enumerate(messages) if peek_factor_block(message).last_step >= STEP)
    block = peek_factor_block(messages[at])
    tally = refill(messages[:at] + messages[at + 1 :])
    assert counts(tally) == (block.steps * 2, 0, 0, 0)
    assert tally.first_difference is not None
    assert (tally.first_difference.kind, tally.first_difference.step) == ("missing", block.first_step)

    columns = decode_factor_blocks([messages[at]], fingerprint=record.fingerprint, partition=0, factors=2)
    shape = (-1, 2)
    levels = columns["level"].reshape(shape).copy()
    levels[STEP - block.first_step, 1] = np.nextafter(levels[STEP - block.first_step, 1], 1)  # one bit
    altered = bytearray(len(messages[at]))
    encode_factor_block_into(
        altered, 0, fingerprint=record.fingerprint, partition=0, first_step=block.first_step,
        times=columns.time[::2].copy(),
        increments=columns["increment"].reshape(shape), levels=levels,
    )  # fmt: skip
    tally = refill([*messages[:at], bytes(altered), *messages[at + 1 :], messages[at], b"cut"])
    assert counts(tally) == (0, block.steps * 2, 1, 1)
    assert tally.first_difference is not None
    assert str(tally.first_difference).startswith(
        f"kafka: repeated factor: market {market_name}, factor {record.market.factors.names[0]}, step "
        f"{block.first_step}, {topic} partition 0 offset {len(messages)}: expected this factor once, found "
    )
    tally = refill([*messages[:at], bytes(altered), *messages[at + 1 :]])
    found = tally.first_difference
    assert found is not None
    assert (found.kind, found.symbol, found.step) == ("altered", name, STEP)
    assert found.where == f"{topic} partition 0 offset {at}"

    delete_topic(kafka, topic)
    assert counts(tallies()[0]) == (STEPS * 2, 0, 0, 0)
