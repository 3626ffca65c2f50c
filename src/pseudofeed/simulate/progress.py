"""A progress bar for long work, on standard error. It is shown only on a terminal and only after a second, and removed
when the work is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["watched"]

_PATIENCE = 1.0  # seconds


@contextmanager
def watched(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Within it, call the given function with the number of ticks done since its last call.

    total: ticks of the whole work; None if it is not known.
    """
    if not sys.stderr.isatty():
        yield lambda _ticks: None
        return
    bar = _Bar(what, total)
    try:
        yield bar.advance
    finally:
        bar.end()


class _Bar:
    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._done = 0
        self._start = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def advance(self, ticks: int) -> None:
        self._done += ticks
        if self._shown is None:
            if time.monotonic() - self._start < _PATIENCE:
                return
            self._shown = self._show()
        progress, task = self._shown
        progress.update(task, completed=self._done)

    def _show(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}", markup=False),  # it may have the name of a file
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,.0f} ticks"),
            TimeRemainingColumn(),
            console=Console(stderr=True, emoji=False),
            transient=True,
        )
        progress.start()
        return progress, progress.add_task(self._what, total=self._total)

    def end(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()
