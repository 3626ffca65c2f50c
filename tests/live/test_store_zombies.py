"""T2, T3: workers that come, go and freeze, and connections that break at COMMIT; every tick is stored once."""

from __future__ import annotations

import random
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from live.cutting_proxy import CuttingProxy
from live.pipe import SteadyFeed, Until, differences, fed_market
from live.warm import AFTER_OFFSETS, BEFORE_OFFSETS, REFUSED, SERVER_WAS_AWAY, Orders, WarmWorkers, warm_workers
from pseudofeed.settings import Connections
from pseudofeed.store.worker import prepare_store, store_market

INSTRUMENTS = 20
ROUNDS, SOAK_ROUNDS = 2, 18  # of two joins, two freezes and two leaves
FROZEN_SECONDS = 11.5  # Kafka's session times out after 6 s, PostgreSQL's idle transaction after 10
CUTS = 60


@pytest.mark.time_limit(400)
def test_frozen_workers_and_changing_groups_leave_every_tick_once(
    plain_connections: Connections, market_name: str, tmp_path: Path, repeats: Callable[[int], int]
) -> None:
    connections = plain_connections
    record = fed_market(connections, market_name, steps=20, instruments=INSTRUMENTS, partitions=6)
    prepare_store(record, connections)
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    notes = tmp_path / "notes"
    plain = Orders(draining=False, notes=str(notes), batch_rows=100)
    feed = SteadyFeed(connections, record, step=20, steps_a_second=100)
    try:
        with warm_workers(connections, record) as workers:
            running = [workers.start(plain) for _ in range(3)]
            for _ in range(ROUNDS if repeats(1) == 1 else SOAK_ROUNDS):
                # One freezes while it holds the lock on its offsets, one before it asks for it.
                frozen = [
                    workers.start(replace(plain, failpoint=place, count=moments.randint(1, 9), signal=signal.SIGSTOP))
                    for place in (AFTER_OFFSETS, BEFORE_OFFSETS)
                ]
                for pid in frozen:
                    _wait_until_frozen(pid)
                _end(workers, running.pop(moments.randrange(len(running))))
                time.sleep(FROZEN_SECONDS)
                for pid in frozen:
                    psutil.Process(pid).send_signal(signal.SIGCONT)
                running += frozen
                _end(workers, running.pop(moments.randrange(len(running))))
                _end_all_but(workers, running, 3)
            time.sleep(2)
            _end_all_but(workers, running, 0)
    finally:
        steps = feed.stop()
    store_market(record, connections, Until())
    assert differences(connections, record, steps) == (steps * INSTRUMENTS, 0, 0)
    refused = notes.read_text().split().count(REFUSED)
    print(f"{refused} offset updates were refused")
    assert refused >= 1, "no zombie was refused: nothing was shown"


def _wait_until_frozen(pid: int) -> None:
    deadline = time.monotonic() + 60
    while (state := psutil.Process(pid).status()) != psutil.STATUS_STOPPED:
        assert state != psutil.STATUS_ZOMBIE, "the worker ended by itself"
        assert time.monotonic() < deadline, "the worker got no partition to freeze at"
        time.sleep(0.05)


def _end_all_but(workers: WarmWorkers, running: list[int], left: int) -> None:
    while len(running) > left:
        _end(workers, running.pop(0))


def _end(workers: WarmWorkers, pid: int) -> None:
    # PostgreSQL has ended the sessions of those that were frozen, and one may be told to end before it has a new one.
    assert workers.end(pid) in (0, SERVER_WAS_AWAY)


@pytest.mark.time_limit(120)
def test_connections_that_break_at_commit_leave_every_tick_once(
    plain_connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    connections, cuts = plain_connections, repeats(CUTS)
    steps = 30 * cuts  # 270 messages, each in a transaction of its own, and every second COMMIT is cut
    record = fed_market(connections, market_name, steps=steps, instruments=INSTRUMENTS)
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    prepare_store(record, connections)  # what is asked at the start is not asked again when a server goes away
    with CuttingProxy(connections.require_postgres(), cuts=cuts, seed=seed) as proxy:
        through = replace(connections, postgres=proxy.dsn)
        with warm_workers(through, record) as workers:
            assert workers.wait(workers.start(Orders(batch_rows=1))) == 0
    print(f"{dict(proxy.cut)}")
    assert proxy.cut.total() == cuts
    assert set(proxy.cut) == {"delivered", "lost"}
    assert differences(connections, record, steps) == (steps * INSTRUMENTS, 0, 0)
