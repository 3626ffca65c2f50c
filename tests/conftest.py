"""Rules for all tests: each has a time limit, and in CI none may be skipped. Fixtures for servers: live_servers.py.

PSEUDOFEED_REQUIRE_LIVE=1: a skipped test or module is a failure. PSEUDOFEED_SOAK=n: tests that repeat something do so n
times as often (fixture `repeats`), and have n times the time.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Generator
from types import FrameType
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from soak import SOAK

pytest_plugins = ["live_servers"]

REQUIRE_LIVE = os.environ.get("PSEUDOFEED_REQUIRE_LIVE") == "1"
TIME_LIMIT = 120.0  # seconds, unless a mark says otherwise
GRACE = 30.0  # what a test stuck in native code gets on top, before the whole run is ended

_stderr = pytest.StashKey[int]()

# How long an example takes says more about the machine's other users than about the code.
settings.register_profile("pseudofeed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pseudofeed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"time_limit(seconds): how long a test may take; {TIME_LIMIT:.0f} without it")
    config.stash[_stderr] = os.dup(2)  # the real one: while tests run, descriptor 2 is captured


def pytest_unconfigure(config: pytest.Config) -> None:
    """A thread that a failed test has left behind must not keep the run from ending. (pytest-xdist ends its workers
    itself, and one that is done waits for the others.)"""
    if hasattr(config, "workerinput"):
        return
    faulthandler.dump_traceback_later(GRACE, exit=True, file=config.stash[_stderr])


@pytest.fixture
def repeats() -> Callable[[int], int]:
    """How often to repeat something that a run in CI repeats n times."""
    return lambda n: n * SOAK


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that takes too long, where it stands; end the run when even that does not reach it."""
    mark = item.get_closest_marker("time_limit")
    seconds = (float(mark.args[0]) if mark else TIME_LIMIT) * SOAK

    def too_long(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        faulthandler.dump_traceback(2)  # all threads: what the test waits for may be another one's
        pytest.fail(f"the test took longer than its limit of {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=item.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_LIVE and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which PSEUDOFEED_REQUIRE_LIVE=1 does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
