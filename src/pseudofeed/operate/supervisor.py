"""Supervised processes: the stages of a run, each in processes of its own, kept alive and drained at the end.

The supervisor talks to each process over a pipe of its own: a process that is killed in the middle of a word breaks
nothing but its own pipe, where a shared queue's lock would stay held. A process that ends for no reason of the user's
(a signal, a crash) is started again and goes on where it was; one that ends with an error that says what to do ends the
whole run with it. What a stage needs (connections with passwords, too) reaches its process through the pipe that starts
it, never through its arguments, which every user of the machine can read. On Linux all processes are forked from one
that has imported the stages: each import by itself would take a second of processor time.

The first stage is the source of the others' data. Its end, or Ctrl-C, drains: the source stops and flushes, the others
go on to the end of what it sent, then everything ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from pseudofeed.errors import PseudofeedError
from pseudofeed.operate.control import PipeControl, Progress
from pseudofeed.operate.ending import on_ending

__all__ = ["Stage", "Supervisor"]

# After signals (somebody kills processes), and after exceptions of our own, which mostly come again.
_RESTARTS = 20
_RESTARTS_AFTER_CRASHES = 2
_BACKOFF_SECONDS = 0.5
_FORKS = sys.platform == "linux"  # elsewhere the system's libraries may not bear to be forked


@dataclass(frozen=True, slots=True)
class Stage:
    """What some of the processes do. role: its name. run: called with the process's control; it returns a summary with
    `ticks`, `seconds`, `last_step` and `unreadable`. count: processes that do the same."""

    role: str
    run: partial[Any]
    count: int = 1


def _process_context(stages: Sequence[Stage]) -> ForkServerContext | SpawnContext:
    if not _FORKS:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *(stage.run.func.__module__ for stage in stages)])
    return context


def _serve(pipe: Connection, run: partial[Any]) -> None:
    """The main function of a supervised process."""
    control = PipeControl(pipe)
    try:
        control.send("done", run(control))
    except PseudofeedError as problem:
        control.send("failed", problem)
        sys.exit(2)


@dataclass(slots=True)
class _Worker:
    """One supervised process and what it has told."""

    stage: Stage
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
        return Progress(self.stage.role, self.ticks, self.summary.last_step, 0, self.summary.seconds)


class Supervisor:
    """Runs the stages, of which the first is the others' source. Call `run` once; `processes` tells the process ids by
    name meanwhile. started, ended: on time.monotonic's clock, when the first tick came and when the last was done."""

    def __init__(self, stages: Sequence[Stage], *, on_refresh: Callable[[Supervisor], None] | None = None) -> None:
        self._context = _process_context(stages)
        self._workers = [
            _Worker(stage, f"{stage.role} {n + 1}" if stage.count > 1 else stage.role)
            for stage in stages
            for n in range(stage.count)
        ]
        self._on_refresh = on_refresh
        self._interrupts = 0
        self.started: float | None = None
        self.ended = 0.0

    @property
    def workers(self) -> list[tuple[str, Progress | None, bool]]:
        """(name, newest progress, whether it runs) of each process, the source first."""
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
        return sum(worker.ticks for worker in self._workers if worker.stage.role == role)

    def unreadable(self, role: str) -> int:
        """Messages that the processes of a role could not read."""
        return sum(worker.unreadable for worker in self._workers if worker.stage.role == role)

    @property
    def restarts(self) -> int:
        """How often a process had to be started again."""
        return sum(worker.restarts for worker in self._workers)

    @property
    def source_summary(self) -> Any:
        """What the first stage returned; None before its end."""
        return self._workers[0].summary

    def run(self) -> None:
        """Start everything, wait for the source's end or Ctrl-C, and drain.

        Raises the PseudofeedError of a process that ended with one, after the others were stopped;
        KeyboardInterrupt on a third Ctrl-C.
        """
        previous = on_ending(self._interrupt)
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
        arguments = (theirs, worker.stage.run)
        worker.process = self._context.Process(
            target=_serve, args=arguments, name=f"pseudofeed {worker.name}", daemon=True
        )
        worker.pipe = ours
        # Inherited, so that a terminal's signals do not end a process before it has set its own rules. The first start
        # would start the resource tracker too, which takes the mask away.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            if _FORKS:
                forkserver.ensure_running()
            worker.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
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
                    self.ended = max(self.ended, worker.began + content.seconds)
        except (EOFError, OSError):
            worker.pipe.close()
            worker.pipe = None

    def _advance(self, worker: _Worker, progress: Progress) -> None:
        """Note how far a process has come, and from its own clock when it began and when it last got anywhere."""
        worker.progress = progress
        if progress.ticks:
            if worker.began is None:
                worker.began = time.monotonic() - progress.seconds
            if self.started is None or worker.began < self.started:
                self.started = worker.began
            self.ended = max(self.ended, worker.began + progress.seconds)

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
