"""What the supervisor does when its processes end for no good reason, without any server."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import pytest

from pseudofeed.commands.results import print_summary
from pseudofeed.commands.run import RunSummary
from pseudofeed.consume import WorkerSummary
from pseudofeed.errors import PseudofeedError, TopicError
from pseudofeed.operate import supervisor
from pseudofeed.operate.control import Control, Progress
from pseudofeed.operate.supervisor import Stage, Supervisor
from pseudofeed.publish.run import FeedSummary

Serve = Callable[[str, Control], object]


@pytest.fixture
def restored_signals() -> Iterator[None]:
    """Nothing is ignored, as it may be where the tests run in the background or under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def supervising(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> Supervisor:
    """One of feed, cache and store, whose processes are forks that call `serve` with the role."""
    found = Supervisor([Stage(role, partial(serve, role)) for role in ("feed", "cache", "store")])
    monkeypatch.setattr(found, "_context", multiprocessing.get_context("fork"))
    monkeypatch.setattr(supervisor, "_BACKOFF_SECONDS", 0.05)
    return found


def wait_for_the_end(control: Control) -> FeedSummary:
    while not control.stopping and not control.draining:
        signal.sigtimedwait([], 0.01)
    return FeedSummary(10, 1.0, 10.0, 5)


def test_a_worker_that_crashes_again_and_again_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(role: str, control: Control) -> object:
        if role == "store":
            os._exit(3)
        return wait_for_the_end(control)

    found = supervising(monkeypatch, serve)
    with pytest.raises(PseudofeedError, match=r"store ended 3 times without giving a reason \(exit code 3\)"):
        found.run()
    assert found.processes == {}


def test_an_error_that_says_what_to_do_ends_the_run_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(role: str, control: Control) -> object:
        if role == "cache":
            raise TopicError("topic ticks.unit: that one")
        return wait_for_the_end(control)

    found = supervising(monkeypatch, serve)
    with pytest.raises(TopicError, match="that one"):
        found.run()
    assert found.processes == {}


@pytest.mark.usefixtures("restored_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ticks_of_a_killed_process_count_and_a_terminals_signal_drains(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def serve(role: str, control: Control) -> object:
        control.report(Progress(role, 7, 3, 0, 0.5, 2))
        if role == "feed":
            return wait_for_the_end(control)
        wait_for_the_end(control)
        return WorkerSummary(10, 1.0, 10.0, 5, unreadable=1)

    found = supervising(monkeypatch, serve)
    done: list[str] = []

    def refresh(current: Supervisor) -> None:
        heard = {name for name, progress, _ in current.workers if progress is not None}
        if not done and "store" in heard:
            os.kill(current.processes["store"], signal.SIGKILL)
            done.append("killed")
        elif done == ["killed"] and current.ticks("store") == 14 and heard == {"feed", "cache", "store"}:
            for pid in (*current.processes.values(), os.getpid()):  # a terminal sends it to all of them
                os.kill(pid, number)
            done.append("interrupted")

    monkeypatch.setattr(found, "_on_refresh", refresh)
    found.run()
    assert done == ["killed", "interrupted"]
    assert (found.ticks("feed"), found.source_summary.last_step, found.ticks("cache"), found.restarts) == (10, 5, 10, 1)
    assert found.ticks("store") == 7 + 10
    assert found.unreadable("store") == 2 + 1
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("unreadable", "said"), [(0, None), (1, "1 message could"), (12, "12 messages could")])
def test_a_run_says_how_many_messages_are_in_quarantine(
    capsys: pytest.CaptureFixture[str], unreadable: int, said: str | None
) -> None:
    summary = RunSummary(10, 1.0, 10.0, 5, stored=10, cached=10, restarts=0, unreadable=unreadable)
    print_summary("published, cached and stored", asdict(summary), json_output=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ([] if said is None else [f"{said} not be read: see the table quarantine"])
