"""Stores the kinds of record in parallel: a reading loop for each, all but the first in threads. They start and stop
together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pseudofeed.consume import WorkerSummary
from pseudofeed.operate.control import Control, Progress

__all__ = ["run_side_by_side"]

Loop = Callable[[Control], WorkerSummary]


class _Main:
    """The first loop's control. The others read its state; it stops when one of them has failed."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.stop = self.drain = self.failed = False

    @property
    def stopping(self) -> bool:
        self.stop |= self._control.stopping
        return self.stop or self.failed

    @property
    def draining(self) -> bool:
        self.drain |= self._control.draining
        return self.drain

    def report(self, progress: Progress) -> None:
        self._control.report(progress)


class _Other:
    """The other loops' control. The supervisor's is for one thread only: they ask the first loop's."""

    def __init__(self, main: _Main) -> None:
        self._main = main

    @property
    def stopping(self) -> bool:
        return self._main.stop or self._main.failed

    @property
    def draining(self) -> bool:
        return self._main.drain

    def report(self, progress: Progress) -> None:
        """Progress is that of the first loop."""


def run_side_by_side(control: Control, first: Loop, others: Sequence[Loop]) -> list[WorkerSummary]:
    """All summaries, the first loop's first, after all have ended. If one raises, the others are stopped, and the error
    is raised."""
    main = _Main(control)
    summaries: dict[int, WorkerSummary] = {}
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            summaries[number] = others[number](_Other(main))
        except BaseException as problem:
            problems.append(problem)
            main.failed = True

    threads = [
        threading.Thread(target=work, args=(number,), name=f"pseudofeed-kind-{number + 1}")
        for number in range(len(others))
    ]
    for thread in threads:
        thread.start()
    try:
        summary = first(main)
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            _ = main.stopping  # somebody may ask to stop while the others drain
    finally:
        main.stop = True
        for thread in threads:
            thread.join()
    if problems:
        raise problems[0]
    return [summary, *(summaries[number] for number in range(len(others)))]
