"""Ticks and factors stored side by side: two reading loops, one of them in a thread, that begin and end together."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pseudofeed.consume import WorkerSummary
from pseudofeed.operate.control import Control, Progress

__all__ = ["run_side_by_side"]


class _Main:
    """The first loop's control: what it is told, the second one reads; it stops when the second has failed."""

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


class _Second:
    """The second loop's control. The supervisor's is for one thread only: this one asks the first loop's."""

    def __init__(self, main: _Main) -> None:
        self._main = main

    @property
    def stopping(self) -> bool:
        return self._main.stop

    @property
    def draining(self) -> bool:
        return self._main.drain

    def report(self, progress: Progress) -> None:
        """Progress is told in ticks."""


def run_side_by_side(
    control: Control, first: Callable[[Control], WorkerSummary], second: Callable[[Control], WorkerSummary]
) -> tuple[WorkerSummary, WorkerSummary]:
    """Both summaries, once both have come to their end; where one raises, the other is stopped, and that is raised."""
    main = _Main(control)
    summaries: list[WorkerSummary] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            summaries.append(second(_Second(main)))
        except BaseException as problem:
            problems.append(problem)
            main.failed = True

    thread = threading.Thread(target=work, name="pseudofeed-factors")
    thread.start()
    try:
        summary = first(main)
        while thread.is_alive():
            thread.join(0.05)
            _ = main.stopping  # somebody may ask to stop while factors are drained
    finally:
        main.stop = True
        thread.join()
    if problems:
        raise problems[0]
    return summary, summaries[0]
