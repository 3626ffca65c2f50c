"""`pseudofeed run`, and its stages by hand: whatever is killed, stopped or started again, verify finds every tick once.

Seeds of the random moments are printed; PSEUDOFEED_SOAK repeats the kills.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from live.commands import market_file, no_command_stays, result, session, start
from pseudofeed.bus.markets import read_market
from pseudofeed.bus.topics import describe
from pseudofeed.commands.run import FeedOptions, run_market
from pseudofeed.errors import PseudofeedError
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress
from pseudofeed.operate.supervisor import Supervisor
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.verify import verify_market

__all__ = ["no_command_stays"]
pytestmark = pytest.mark.usefixtures("no_command_stays")

STAGES = ("kafka", "redis", "postgres")
RIGHT = {"missing": 0, "repeated": 0, "altered": 0, "unexpected": 0, "quarantined": 0}


def assert_equal(connections: Connections, name: str, *, steps: int, instruments: int) -> None:
    record = read_market(connections.require_kafka(), name)
    report = verify_market(record, connections, steps=steps).to_dict()
    for stage in STAGES:
        expected = instruments if stage == "redis" else steps * instruments
        counts = {"ticks": expected, "expected": expected, "first_difference": None, **RIGHT}
        assert {key: report[stage][key] for key in counts} == counts, stage
    for stage in ("kafka_factors", "postgres_factors"):
        assert report[stage]["ticks"] == report[stage]["expected"] == steps * len(record.market.factors.names)
    assert report["equal"]


def wait_until_fed(connections: Connections, name: str, process: subprocess.Popen[str], *, beyond: int = 0) -> None:
    """Until the market's topic holds more than `beyond` messages."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            if describe(connections.require_kafka(), TICK.topic_of(name)).high.sum() > beyond:
                return
        except PseudofeedError:  # not made yet
            pass
        time.sleep(0.1)
    pytest.fail("nothing was fed in time")


def assert_nothing_runs(process: subprocess.Popen[str], *, within: float) -> None:
    deadline = time.monotonic() + within
    while (left := session(process)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


@pytest.mark.time_limit(240)
def test_run_ends_by_itself_and_again_adds_nothing(
    plain_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    file = market_file(tmp_path, market_name, instruments=100)
    process = start(plain_connections, tmp_path, "run", file, "--steps", "2000", "--json")
    summary = result(process)
    assert_nothing_runs(process, within=5)
    assert (summary["ticks"], summary["stored"], summary["last_step"], summary["restarts"]) == (
        200_000,
        200_000,
        2_000,
        0,
    )
    assert summary["ticks_per_second"] == pytest.approx(200_000 / summary["seconds"])
    assert_equal(plain_connections, market_name, steps=2_000, instruments=100)
    again = result(start(plain_connections, tmp_path, "run", file, "--steps", "2000", "--json"))
    assert (again["ticks"], again["stored"], again["last_step"]) == (0, 0, 2_000)
    report = result(start(plain_connections, tmp_path, "verify", market_name, "--json"))
    assert (report["equal"], report["steps"], report["market"]) == (True, 2_000, market_name)
    assert [report[stage]["ticks"] for stage in STAGES] == [200_000, 100, 200_000]
    assert [{key: report[stage][key] for key in RIGHT} for stage in STAGES] == [RIGHT] * 3


@pytest.mark.time_limit(240)
def test_run_starts_killed_processes_again(
    timescale_connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    """Feed, cache and store are killed -9, each at a random moment of the run, once."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kills, steps, instruments = repeats(1), 2_000 * repeats(1), 100
    market = Market.sample(instruments=instruments, seed=5, name=market_name, start="2026-03-02T14:30:00Z")
    due = sorted((chance.uniform(0.05, 0.8), name) for name in ("feed", "cache", "store") for _ in range(kills))
    print(due)
    killed: list[str] = []

    def kill(supervisor: Supervisor) -> None:
        progress: dict[str, Progress | None] = {name: progress for name, progress, _ in supervisor.workers}
        share = supervisor.ticks("feed") / (steps * instruments)
        if len(killed) < len(due):
            moment, name = due[len(killed)]
            reached = progress[name]  # of a process that has begun to work: not while it still starts
            if share >= moment and reached is not None and reached.ticks and name in supervisor.processes:
                os.kill(supervisor.processes[name], signal.SIGKILL)
                killed.append(name)

    summary = run_market(market, timescale_connections, feed=FeedOptions(steps=steps, rate=25_000.0), on_refresh=kill)
    assert len(killed) == len(due), f"only {killed} were killed in time"
    assert summary.restarts == len(due)
    assert summary.last_step == steps
    assert_equal(timescale_connections, market_name, steps=steps, instruments=instruments)


@pytest.mark.time_limit(240)
def test_commands_that_are_killed_and_started_again_go_on(
    plain_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    connections, seed = plain_connections, secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    file = market_file(tmp_path, market_name)
    fed = 0
    for _ in range(2):
        feed = start(connections, tmp_path, "feed", file, "--rate", "20000")
        wait_until_fed(connections, market_name, feed, beyond=fed)
        workers = [start(connections, tmp_path, stage, market_name) for stage in ("cache", "store")]
        time.sleep(chance.uniform(0, 5))
        running = [feed, *workers]
        chance.shuffle(running)
        for process in running:
            assert process.poll() is None, process.communicate()
            process.kill()
            assert process.communicate()[1] == ""
            time.sleep(chance.uniform(0, 0.5))
        fed = int(describe(connections.require_kafka(), TICK.topic_of(market_name)).high.sum())
    steps = 20_000
    assert result(start(connections, tmp_path, "feed", file, "--steps", str(steps), "--json"))["last_step"] == steps
    running = [
        start(connections, tmp_path, stage, market_name, "--until-caught-up", "--json") for stage in ("cache", "store")
    ]
    for process in running:
        assert result(process)["last_step"] == steps
    assert_equal(connections, market_name, steps=steps, instruments=20)


@pytest.mark.time_limit(240)
def test_processes_end_with_their_supervisor_and_ctrl_c_drains(
    plain_connections: Connections, market_name: str, tmp_path: Path
) -> None:
    connections, seed = plain_connections, secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    file = market_file(tmp_path, market_name)

    process = start(connections, tmp_path, "run", file, "--rate", "10000", "--json")
    wait_until_fed(connections, market_name, process)
    time.sleep(chance.uniform(0, 3))
    process.kill()
    assert_nothing_runs(process, within=20)
    assert process.communicate()[1] == ""

    # Ctrl-C while processes start: ends without a word of any of them.
    process = start(connections, tmp_path, "run", file, "--rate", "10000", "--json")
    while not psutil.Process(process.pid).children():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 1))
    os.killpg(process.pid, signal.SIGINT)
    result(process)
    assert_nothing_runs(process, within=5)
    fed = int(describe(connections.require_kafka(), TICK.topic_of(market_name)).high.sum())

    # That one may have fed something before it ended: without a fresh look the next wait might be none at all.
    fed = int(describe(connections.require_kafka(), TICK.topic_of(market_name)).high.sum())
    process = start(connections, tmp_path, "run", file, "--rate", "10000", "--json")
    wait_until_fed(connections, market_name, process, beyond=fed)
    time.sleep(chance.uniform(0, 3))
    os.killpg(process.pid, signal.SIGINT)
    summary = result(process)
    assert_nothing_runs(process, within=5)
    assert summary["last_step"] > 0
    assert_equal(connections, market_name, steps=summary["last_step"], instruments=20)
