"""A backfill writes each tick and factor level once: alone, killed, beside a stream, under retention."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from live.commands import market_file, result, start
from live.doomed_backfill import PLACES
from live.own_servers import own_postgres, small_disk
from live.pipe import START, Until, differences, history_differences, set_read_only, wait_for_log, working
from live.test_store import TOPIC, _refusing_postgres
from pseudofeed.bus.markets import MarketRecord, read_market
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch
from pseudofeed.encode import instrument_partitions
from pseudofeed.errors import MarketChanged, ServerError, StoreError
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress
from pseudofeed.publish.feed import feed
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections
from pseudofeed.store.backfill import writer as backfill_writer
from pseudofeed.store.backfill.claims import Claim, claim_steps
from pseudofeed.store.backfill.run import BackfillSummary, backfill_market
from pseudofeed.store.chunk_index import unindexed_chunks
from pseudofeed.store.chunk_list import Chunk
from pseudofeed.store.connection import open_connection
from pseudofeed.store.forget import forget_market
from pseudofeed.store.schema import find_tier
from pseudofeed.store.settings import StoreSettings, change_settings
from pseudofeed.store.sink import StoreSink
from pseudofeed.store.upkeep import keep_up
from pseudofeed.store.worker import prepare_store, store_market
from pseudofeed.verify import verify_market

N, K = 20, 2


def _market(name: str, *, seed: int = 11) -> Market:
    return Market.sample(instruments=N, factors=K, seed=seed, name=name, start=START)


def _record(market: Market, *, partitions: int = 4, epoch: int = 0) -> MarketRecord:
    return MarketRecord(market.name, dict(market.specification), partitions, epoch, market.fingerprint)


def _backfill(
    market: Market, connections: Connections, begin: int | None, end: int, *, batch_rows: int = 1_000, writers: int = 2
) -> BackfillSummary:
    return backfill_market(
        market,
        replace(connections, kafka=None, redis=None),
        Until(draining=False),
        begin=None if begin is None else str(begin),
        end=str(end),
        writers=writers,
        batch_rows=batch_rows,
    )


def _factor_differences(connections: Connections, record: MarketRecord, steps: int) -> tuple[int, int, int]:
    paths = record.market.simulate(steps)
    rows = (
        (paths.time[j + 1], name, paths.factor_increments[j, k], paths.factor_levels[j + 1, k])
        for j in range(steps)
        for k, name in enumerate(paths.factor_names)
    )
    return history_differences(connections, record, "factor_history", ("factor", "increment", "level"), rows)


def _whole(connections: Connections, record: MarketRecord, steps: int) -> None:
    """Ticks and factor levels of the steps 1 to `steps` are there once each, and no others; every chunk is indexed."""
    assert _lacking(connections) == []
    assert differences(connections, record, steps) == (steps * len(record.market.symbols), 0, 0)
    factors = len(record.market.factors.names)
    assert _factor_differences(connections, record, steps) == (steps * factors, 0, 0)


def _lacking(connections: Connections) -> list[Chunk]:
    """Chunks with rows and without an index."""
    with psycopg.connect(connections.require_postgres()) as connection:
        chunks = unindexed_chunks(connection, find_tier(connection), TICK)
        return [c for c in chunks if connection.execute(f"SELECT FROM {c.name} LIMIT 1".encode()).fetchall()]


def test_the_command_writes_what_the_simulation_has(plain_connections: Connections, tmp_path: Path) -> None:
    """Into the store and files, without Kafka; a second run finds all done; verify knows it, and misses a lost tick."""
    connections = plain_connections
    file = market_file(tmp_path, "bf")
    record = _record(Market.load(file))
    arguments = ("backfill", file, "--to", "2026-03-02T14:40:00.5Z", "--parquet", "files", "--json")
    first = result(start(connections, tmp_path, *arguments))
    assert (first["ticks"], first["rows"]["factor"], first["last_step"]) == (600 * 20, 600 * 2, 600)
    assert (first["first_step"], first["steps_left"], first["files"]) == (1, 0, 1)
    again = result(start(connections, tmp_path, *arguments))
    assert (again["ticks"], again["rows"], again["last_step"]) == (0, {}, 600)
    _whole(connections, record, 600)
    assert (tmp_path / "files" / "day=2026-03-02" / "bf.parquet").is_file()
    verify = ("verify", "bf", "--stage", "postgres", "--json")
    assert result(start(connections, tmp_path, *verify))["postgres"]["expected"] == 12_000
    with psycopg.connect(connections.require_postgres()) as connection:
        connection.execute("DELETE FROM tick WHERE instrument_id = 7 AND time = '2026-03-02 14:35Z'")
    difference = result(start(connections, tmp_path, *verify), code=1)["first_difference"]
    assert (difference["kind"], difference["symbol"], difference["step"]) == ("missing", record.market.symbols[6], 300)


@pytest.mark.time_limit(240)
def test_killed_backfills_leave_every_tick_once(
    store_connections: Connections, tmp_path: Path, repeats: Callable[[int], int]
) -> None:
    kills, steps = repeats(10), repeats(1_000)
    market = _market("bf-kills")
    specification = tmp_path / "specification.json"
    specification.write_text(json.dumps(market.specification))
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    program = [sys.executable, "-m", "live.doomed_backfill", store_connections.require_postgres(), str(specification)]
    done = subprocess.run(
        [*program, str(steps), str(kills), str(seed)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == dict.fromkeys(PLACES, kills // len(PLACES))
    record = _record(market)
    before = differences(store_connections, record, steps)
    assert before[1] == 0
    assert 0 < before[0] < steps * N, "the kills were not in mid-way"
    assert _backfill(market, store_connections, None, steps, writers=3).ticks == steps * N - before[0]
    _whole(store_connections, record, steps)


def test_a_stream_and_a_backfill_share_a_market(store_connections: Connections, market_name: str) -> None:
    """The worker is in the middle of steps that a backfill, and a second one at the same time, claim."""
    connections, market = store_connections, _market(market_name)
    feed(market, connections, Until(draining=False), steps=600, partitions=3)
    record = read_market(connections.require_kafka(), market_name)
    with working(record, connections) as worker:
        while worker.stored < 1_000:
            assert worker.problem is None
        other = threading.Thread(target=_backfill, args=(market, connections, 300, 1_000), kwargs={"batch_rows": 100})
        other.start()
        _backfill(market, connections, None, 800, batch_rows=130)
        other.join()
        feed(market, connections, Until(draining=False), steps=1_100)
        worker.drained()
    _whole(connections, record, 1_100)
    report = verify_market(record, connections, stages=["kafka", "postgres"])
    assert (report.equal, report.steps) == (True, 1_100)


def test_a_stream_takes_over_behind_a_backfill(store_connections: Connections, market_name: str) -> None:
    """A market that the store knows from a backfill alone gets its topic, with as many partitions as that has."""
    connections, market = store_connections, _market(market_name)
    _backfill(market, connections, None, 500)
    feed(market, connections, Until(draining=False), steps=700, partitions=5)
    record = read_market(connections.require_kafka(), market_name)
    assert store_market(record, connections, Until()).last_step == 700
    _whole(connections, record, 700)
    assert _backfill(market, connections, None, 700).ticks == 0


# --- a worker's transactions and a claim -------------------------------------------------------------------------


def _batch(record: MarketRecord, partition: int, first: int, last: int, *, offset: int, cut: int = 0) -> Batch:
    """A partition's ticks as the topic has them, without the last `cut`."""
    market = record.market
    members = np.flatnonzero(instrument_partitions(market.symbols, record.partitions) == partition)
    block = next(market.stream(start_step=first, steps=last - first + 1, block_steps=10_000, instruments=members))
    ticks = block.prices.size - cut
    columns = Columns(
        TICK,
        np.repeat(block.time, len(members))[:ticks],
        np.repeat(np.arange(first, last + 1), len(members))[:ticks],
        np.tile(members.astype(np.int32), len(block.time))[:ticks],
        block.prices.ravel()[:ticks],
        block.variances.ravel()[:ticks],
    )
    return Batch(partition, offset, offset + 1, columns)


def test_what_came_before_the_stream_can_be_backfilled(plain_connections: Connections, market_name: str) -> None:
    """The topic had lost its beginning, each partition another part, and single ticks leave a step in the middle."""
    record = _record(_market(market_name), partitions=2, epoch=1)
    market, tier = prepare_store(record, plain_connections)
    sink = StoreSink(plain_connections, market, tier, TICK)
    late = TopicInfo("topic-1", np.array([5, 7]), np.full(2, 1_000))
    assert sink.positions(late, [0, 1]) == {0: 5, 1: 7}
    sink.write([_batch(record, 0, 40, 80, offset=5), _batch(record, 1, 55, 70, offset=7, cut=3)])
    summary = _backfill(record.market, plain_connections, None, 100, batch_rows=170)
    members = np.bincount(instrument_partitions(record.market.symbols, 2))
    assert summary.ticks == 100 * N - 41 * members[0] - 16 * members[1] + 3
    _whole(plain_connections, record, 100)
    # What the stream brings of these steps now is left out, and what comes behind them is not.
    sink.write([_batch(record, 0, 81, 120, offset=6)])
    assert differences(plain_connections, record, 120)[:2] == (100 * N + 20 * members[0], 0)
    sink.close()


def test_a_claim_waits_for_the_batch_under_way(
    plain_connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _record(_market(market_name), partitions=1, epoch=1)
    market, tier = prepare_store(record, plain_connections)
    sink = StoreSink(plain_connections, market, tier, TICK)
    sink.positions(TOPIC, [0])
    inside, go_on, claims = threading.Event(), threading.Event(), list[Claim]()
    copy = StoreSink._copy

    def slow_copy(self: StoreSink, connection: psycopg.Connection, rows: bytes) -> None:
        inside.set()
        assert go_on.wait(30)
        copy(self, connection, rows)

    monkeypatch.setattr(StoreSink, "_copy", slow_copy)
    writing = threading.Thread(target=sink.write, args=([_batch(record, 0, 1, 30, offset=0)],))
    writing.start()
    assert inside.wait(30)

    def claim() -> None:
        with open_connection(plain_connections, application="test", writer=True) as connection:
            claims.extend(claim_steps(connection, market, 1, 50))

    claiming = threading.Thread(target=claim)
    claiming.start()
    claiming.join(0.3)
    waited = claiming.is_alive()
    go_on.set()
    writing.join()
    claiming.join()
    assert waited
    assert claims[0].held[TICK].last.tolist() == [30] * N
    sink.write([_batch(record, 0, 31, 60, offset=1)])
    assert differences(plain_connections, record, 60)[:2] == (40 * N, 0)
    _backfill(record.market, plain_connections, None, 50)
    assert differences(plain_connections, record, 60) == (60 * N, 0, 0)
    sink.close()


# --- being stopped, outages, retention, being dropped -----------------------------------------------------------


class _After(Until):
    """Calls once when the first rows are committed."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__(draining=False)
        self._then: Callable[[], None] | None = then

    def report(self, progress: Progress) -> None:
        if progress.ticks and self._then is not None:
            then, self._then = self._then, None
            then()


def test_asked_to_stop_it_says_what_is_left(plain_connections: Connections, market_name: str) -> None:
    market = _market(market_name)
    control = _After(lambda: setattr(control, "stopping", True))
    stopped = backfill_market(market, plain_connections, control, begin="11", end="40000", batch_rows=100)
    assert stopped.ticks == (39_990 - stopped.steps_left) * N
    assert 0 < stopped.steps_left < 39_990
    report = verify_market(_record(market), plain_connections, stages=["postgres"])
    tally = report.stages["postgres"]
    assert (report.equal, tally.ticks, tally.unfinished) == (True, stopped.ticks, stopped.steps_left)
    assert _lacking(plain_connections) == []


@pytest.mark.time_limit(120)
def test_a_server_that_is_killed_and_comes_back_is_waited_for(connections: Connections, market_name: str) -> None:
    with own_postgres() as (server, dsn):
        own, market = replace(connections, postgres=dsn), _market(market_name)

        def restart() -> None:
            server.kill()
            server.start()

        summary = backfill_market(market, own, _After(restart), end="3000", batch_rows=200)
        assert summary.last_step == 3_000
        _whole(own, _record(market), 3_000)


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("trouble", ["a full disk", "a server that is read-only for a while"])
def test_what_passes_is_waited_for(
    connections: Connections, market_name: str, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    with own_postgres() as (_, dsn), small_disk() as disk:
        own, market = replace(connections, postgres=disk.database(dsn)), _market(market_name)

        def end_when_noticed() -> None:
            wait_for_log(caplog, "Retrying")
            disk.make_room() if trouble == "a full disk" else set_read_only(own.require_postgres(), False)

        def begin() -> None:
            disk.fill() if trouble == "a full disk" else set_read_only(own.require_postgres(), True)
            watching.start()

        watching = threading.Thread(target=end_when_noticed, daemon=True)
        summary = backfill_market(market, own, _After(begin), end="3000", batch_rows=200)
        assert summary.last_step == 3_000
        _whole(own, _record(market), 3_000)


def test_retention_is_not_undone(store_connections: Connections, market_name: str) -> None:
    """What was dropped is not written again, nor what is too old by then; and verify does not miss it."""
    connections, market = store_connections, _market(market_name)
    with open_connection(connections, application="test", writer=True) as connection:
        stored, tier = prepare_store(_record(market), connections, StoreSettings(chunk_length="10min"))
        _backfill(market, connections, 1_000, 3_600)
        change_settings(connection, stored, StoreSettings(retention="30min"))
        assert keep_up(connection, find_tier(connection)) >= 1
        kept = connection.execute("SELECT dropped_before FROM market").fetchone()
        assert kept is not None
        assert f"{kept[0]:%H:%M}" == "15:00"  # 15:30 is the newest tick
        _backfill(market, connections, None, 4_000)
        oldest = connection.execute("SELECT min(time), count(*) FROM tick").fetchone()
        assert oldest == (kept[0], (4_000 - 1_799) * N)
        assert keep_up(connection, tier) == 0
    report = verify_market(_record(market), connections, stages=["postgres"])
    assert (report.equal, report.stages["postgres"].expected) == (True, (4_000 - 1_799) * N)


def test_a_dropped_market_leaves_no_marks(plain_connections: Connections, market_name: str) -> None:
    market = _market(market_name)

    def drop() -> None:
        with open_connection(plain_connections, application="test", writer=True) as connection:
            forget_market(connection, market_name)

    with pytest.raises(StoreError, match="was dropped from the store while it was backfilled"):
        backfill_market(market, plain_connections, _After(drop), end="100000", batch_rows=100)
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        assert connection.execute("SELECT count(*) FROM backfill").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM tick").fetchone() == (0,)
    _backfill(market, plain_connections, None, 50)
    _whole(plain_connections, _record(market), 50)


# --- what is refused -----------------------------------------------------------------------------------------------


def test_mistakes_are_one_message_each(plain_connections: Connections, tmp_path: Path) -> None:
    file = market_file(tmp_path, "bf")
    result(start(plain_connections, tmp_path, "backfill", file, "--to", "50", "--json"))
    changed = market_file(tmp_path, "bf", seed=6, file="changed.toml")
    for arguments, message in (
        ((changed, "--to", "50"), "market bf is in the store with another specification: market.seed: 5 -> 6"),
        ((file, "--from", "9", "--to", "8"), "there is no step between them"),
        ((file, "--no-store"), "leaves nothing to write"),
    ):
        process = start(plain_connections, tmp_path, "backfill", *arguments)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert message in " ".join(err.replace("│", " ").split())
        assert "Traceback" not in err


def test_servers_that_refuse_are_named_without_secrets(
    plain_connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = _market(market_name)
    listener, port = _refusing_postgres()
    refusing = f"postgresql://ann:marker-word@127.0.0.1:{port}/market?sslmode=disable"
    with pytest.raises(ServerError, match='user "ann"') as caught:
        _backfill(market, replace(plain_connections, postgres=refusing), None, 50)
    assert "marker-word" not in str(caught.value)
    listener.close()
    _backfill(market, plain_connections, None, 50)
    with pytest.raises(MarketChanged, match="seed: 11 -> 12"):
        _backfill(_market(market_name, seed=12), plain_connections, None, 50)
    # A server that stays away in the middle: what is committed stays.
    monkeypatch.setattr(backfill_writer, "OUTAGE_SECONDS", 0.5)

    def away(*_arguments: object) -> None:
        raise psycopg.errors.DiskFull("could not extend file")

    with monkeypatch.context() as patch:
        patch.setattr(backfill_writer.BackfillWriter, "_copy", away)
        with pytest.raises(ServerError, match=r"could not extend file.*run the backfill again"):
            _backfill(market, plain_connections, None, 70)
    assert _backfill(market, plain_connections, None, 70).ticks == 20 * N
