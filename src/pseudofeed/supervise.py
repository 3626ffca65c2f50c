"""`run`: the feed and the workers of a market, one process each, kept alive and drained at the end.

The supervisor talks to each process over a pipe of its own: a process that is killed in the middle of a word breaks
nothing but its own pipe, where a shared queue's lock would stay held. A process that ends for no reason of the user's
(a signal, a crash) is started again and goes on where it was; one that ends with an error that says what to do ends the
whole run with it. Connections reach a process through the pipe that starts it, never through its arguments, which every
user of the machine can read. On Linux all are forked from a process that has imported the stages: each by itself would
take a second of processor time for that.

Ctrl-C, or the feed's end, drains: the feed stops and flushes, the workers go on to the topic's end, then everything
ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from pseudofeed.control import PipeControl, Progress
from pseudofeed.errors import PseudofeedError
from pseudofeed.market import Market
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.settings import Connections

__all__ = ["FeedOptions", "RunSummary", "Supervisor"]

# After signals (somebody kills processes), and after exceptions of our own, which mostly come again.
_RESTARTS = 20
_RESTARTS_AFTER_CRASHES = 2
_BACKOFF_SECONDS = 0.5
_FORKS = sys.platform == "linux"  # elsewhere the system's libraries may not bear to be forked
_IMPORTED = ("__main__", "pseudofeed.publish.feed", "pseudofeed.cache.worker", "pseudofeed.store.worker")


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What `feed` takes beside the market: see `publish.feed.feed`."""

    steps: int | None = None
    rate: float | None = None
    speed: float | None = None
    mode: str = "block"
    encoding: str = "sbe"
    partitions: int | None = None
    wait_for_readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did. ticks: published in it; seconds: from the first published to the last commit of any stage.

    restarts: how often a process had to be started again. stored and cached: ticks that those stages took. unreadable:
    messages that the store has put into quarantine.
    """

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int
    stored: int
    cached: int
    restarts: int
    unreadable: int


def _process_context() -> ForkServerContext | SpawnContext:
    if not _FORKS:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def _serve(pipe: Connection, role: str, arguments: tuple[Any, ...]) -> None:
    """The main function of a supervised process."""
    control = PipeControl(pipe)
    try:
        if role == "feed":
            from pseudofeed.publish.feed import feed

            specification, connections, options = arguments
            summary: Any = feed(
                Market.from_specification(specification),
                connections,
                control,
                steps=options.steps,
                rate=options.rate,
                speed=options.speed,
                mode=options.mode,
                encoding=options.encoding,
                partitions=options.partitions,
                wait_for_readers=options.wait_for_readers or None,
            )
        elif role == "store":
            from pseudofeed.store.worker import store_market

            record, connections = arguments
            summary = store_market(record, connections, control)
        else:
            from pseudofeed.cache.worker import cache_market

            record, connections = arguments
            summary = cache_market(record, connections, control)
        control.send("done", summary)
    except PseudofeedError as problem:
        control.send("failed", problem)
        sys.exit(2)


@dataclass(slots=True)
class _Worker:
    """One supervised process and what it has told."""

    role: str
    name: str
    process: BaseProcess | None = None
    pipe: Connection | None = None
    progress: Progress | None = None
    summary: Any = None
    earlier_ticks: int = 0
    earlier_unreadable: int = 0
    began: float | None = None
    restarts: int = 0
    start_at: float = 0.0
    orders: list[str] = field(default_factory=list)

    @property
    def ticks(self) -> int:
        """Ticks of this worker and of those it replaced."""
        now = self.summary.ticks if self.summary is not None else self.progress.ticks if self.progress else 0
        return self.earlier_ticks + int(now)

    @property
    def unreadable(self) -> int:
        """Messages that it and those it replaced could not read."""
        now = self.summary or self.progress
        return self.earlier_unreadable + (now.unreadable if now is not None else 0)

    @property
    def final_progress(self) -> Progress | None:
        if self.summary is None:
            return self.progress
        return Progress(self.role, self.ticks, self.summary.last_step, 0, self.summary.seconds)


class Supervisor:
    """Runs a registered market's feed and workers. Call `run` once; `processes` tells the process ids by name
    meanwhile."""

    def __init__(
        self,
        market: Market,
        record: MarketRecord,
        connections: Connections,
        *,
        feed: FeedOptions,
        store_workers: int = 1,
        cache_workers: int = 1,
        on_refresh: Callable[[Supervisor], None] | None = None,
    ) -> None:
        self._arguments: dict[str, tuple[Any, ...]] = {
            # As it was loaded: a start of "now" tells the feed that the market is live.
            "feed": (market.specification, connections, feed),
            "store": (record, connections),
            "cache": (record, connections),
        }
        self._context = _process_context()
        self._workers = [_Worker("feed", "feed")]
        for role, count in (("cache", cache_workers), ("store", store_workers)):
            self._workers += [_Worker(role, f"{role} {n + 1}" if count > 1 else role) for n in range(count)]
        self._on_refresh = on_refresh
        self._interrupts = 0
        self._started: float | None = None
        self._ended = 0.0

    @property
    def workers(self) -> list[tuple[str, Progress | None, bool]]:
        """(name, newest progress, whether it runs) of each process, the feed first."""
        return [(worker.name, worker.final_progress, worker.process is not None) for worker in self._workers]

    @property
    def done(self) -> bool:
        """Whether every stage has come to its end."""
        return all(worker.summary is not None for worker in self._workers)

    @property
    def processes(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {w.name: w.process.pid for w in self._workers if w.process is not None and w.process.pid is not None}

    def ticks(self, role: str) -> int:
        """Ticks of all processes of a role, those that were replaced too."""
        return sum(worker.ticks for worker in self._workers if worker.role == role)

    def run(self) -> RunSummary:
        """Start everything, wait for the feed's end or Ctrl-C, drain, and say what was done.

        Raises the PseudofeedError of a process that ended with one, after the others were stopped;
        KeyboardInterrupt on a third Ctrl-C.
        """
        previous = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for worker in self._workers:
                self._start(worker)
            while not self.done:
                self._turn()
            if self._on_refresh is not None:
                self._on_refresh(self)
        finally:
            self._end_all()
            for number, handler in previous.items():
                signal.signal(number, handler)
        feed = self._workers[0]
        ticks, seconds = feed.ticks, 0.0 if self._started is None else self._ended - self._started
        return RunSummary(
            ticks=ticks,
            seconds=seconds,
            ticks_per_second=ticks / seconds if seconds > 0 else 0.0,
            last_step=feed.summary.last_step,
            stored=self.ticks("store"),
            cached=self.ticks("cache"),
            restarts=sum(worker.restarts for worker in self._workers),
            unreadable=sum(worker.unreadable for worker in self._workers if worker.role == "store"),
        )

    def _turn(self) -> None:
        """Wait a moment for news, act on it, and do what is due."""
        alive = [worker for worker in self._workers if worker.process is not None]
        waitables: list[Any] = [worker.pipe for worker in alive if worker.pipe is not None]
        waitables += [worker.process.sentinel for worker in alive if worker.process is not None]
        wait(waitables, timeout=0.1)
        for worker in alive:
            self._hear(worker)
            if worker.process is not None and worker.process.exitcode is not None:
                self._hear(worker)
                self._ended_process(worker)
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and worker.summary is None and now >= worker.start_at:
                self._start(worker)
        if self._workers[0].summary is not None:
            for worker in self._workers[1:]:
                self._order(worker, "drain")
        if self._on_refresh is not None:
            self._on_refresh(self)

    def _start(self, worker: _Worker) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, worker.role, self._arguments[worker.role])
        worker.process = self._context.Process(
            target=_serve, args=arguments, name=f"pseudofeed {worker.name}", daemon=True
        )
        worker.pipe = ours
        # Inherited, so that a terminal's Ctrl-C does not end a process before it has set its own rules. The first start
        # would start the resource tracker too, which takes the mask away.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if _FORKS:
                forkserver.ensure_running()
            worker.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        orders, worker.orders = worker.orders, []
        for order in orders:
            self._order(worker, order)

    def _order(self, worker: _Worker, order: str) -> None:
        if order not in worker.orders:
            worker.orders.append(order)
            if worker.pipe is not None:
                with contextlib.suppress(OSError):
                    worker.pipe.send(order)

    def _hear(self, worker: _Worker) -> None:
        if worker.pipe is None:
            return
        try:
            while worker.pipe.poll():
                kind, content = worker.pipe.recv()
                if kind == "failed":
                    raise content
                if kind == "progress":
                    self._advance(worker, content)
                    continue
                worker.summary = content
                if worker.began is not None:
                    self._ended = max(self._ended, worker.began + content.seconds)
        except (EOFError, OSError):
            worker.pipe.close()
            worker.pipe = None

    def _advance(self, worker: _Worker, progress: Progress) -> None:
        """Note how far a process has come, and from its own clock when it began and when it last got anywhere."""
        worker.progress = progress
        if progress.ticks:
            if worker.began is None:
                worker.began = time.monotonic() - progress.seconds
            if self._started is None or worker.began < self._started:
                self._started = worker.began
            self._ended = max(self._ended, worker.began + progress.seconds)

    def _ended_process(self, worker: _Worker) -> None:
        assert worker.process is not None
        code, worker.process = worker.process.exitcode, None
        if worker.pipe is not None:
            worker.pipe.close()
            worker.pipe = None
        if worker.summary is not None:
            return
        worker.restarts += 1
        if worker.restarts > (_RESTARTS if code is not None and code < 0 else _RESTARTS_AFTER_CRASHES):
            raise PseudofeedError(
                f"{worker.name} ended {worker.restarts} times without giving a reason (exit code {code})"
            )
        worker.earlier_ticks, worker.earlier_unreadable = worker.ticks, worker.unreadable
        worker.progress, worker.began = None, None
        worker.start_at = time.monotonic() + _BACKOFF_SECONDS

    def _interrupt(self, _number: int, _frame: Any) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._order(self._workers[0], "stop")
        elif self._interrupts == 2:  # not even drained: what was committed stays, the rest is read again next time
            for worker in self._workers:
                self._order(worker, "stop")
        else:
            raise KeyboardInterrupt

    def _end_all(self) -> None:
        """Whatever still runs is asked to stop, then made to."""
        for worker in self._workers:
            if worker.process is not None:
                self._order(worker, "stop")
        deadline = time.monotonic() + 10.0
        for worker in self._workers:
            if worker.process is None:
                continue
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.process.exitcode is None and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGKILL)
                worker.process.join()
            worker.process = None
