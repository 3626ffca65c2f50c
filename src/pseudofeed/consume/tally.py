"""What a worker has done so far, for its reports and its summary."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pseudofeed.consume.sink import WorkerSummary
from pseudofeed.operate.control import Progress

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """ticks: written. unreadable: messages. first_at, last_at: when the first tick came and the last was written, with
    all that belongs to it; 0: none yet.
    """

    ticks: int = 0
    unreadable: int = 0
    last_step: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def came(self) -> None:
        if not self.first_at:
            self.first_at = time.monotonic()

    def wrote(self, ticks: int, last_step: int, unreadable: int) -> None:
        self.ticks += ticks
        self.unreadable += unreadable
        self.last_step = max(self.last_step, last_step)
        self.last_at = time.monotonic()

    def finished(self) -> None:
        """The deferred work is done."""
        if self.ticks:
            self.last_at = time.monotonic()

    @property
    def seconds(self) -> float:
        return max(self.last_at - self.first_at, 0.0)

    def progress(self, stage: str, lag: int | None) -> Progress:
        return Progress(stage, self.ticks, self.last_step, lag, self.seconds, self.unreadable)

    def summary(self) -> WorkerSummary:
        seconds = self.seconds
        rate = self.ticks / seconds if seconds else 0.0
        return WorkerSummary(self.ticks, seconds, rate, self.last_step, self.unreadable)
