"""How a stage is told to end, and how it says how far it has come.

The feed and each worker run one function that takes a `Control`. Started by a command it is a `SignalControl` (Ctrl-C,
SIGTERM and SIGHUP ask it to stop); started by `run` it is a `PipeControl`, whose supervisor can also ask it to drain.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from pseudofeed.operate.ending import on_ending

if TYPE_CHECKING:  # every command imports this module, and few a pipe
    from multiprocessing.connection import Connection

__all__ = ["Control", "PipeControl", "Progress", "SignalControl"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come since it was started.

    ticks: published and acknowledged, cached, or committed. sequence: the newest step among them (0: none yet).
    lag: messages of the topic that a worker has not processed yet; for the feed, messages not yet acknowledged.
    seconds: from the first tick's arrival to the last one's acknowledgement or commit. unreadable: messages that a
    worker could not read.
    """

    stage: str
    ticks: int
    sequence: int
    lag: int | None
    seconds: float
    unreadable: int = 0


class Control(Protocol):
    """What a running stage asks between two batches, and tells after each."""

    @property
    def stopping(self) -> bool:
        """Finish the batch in hand, keep what is done, return."""
        ...

    @property
    def draining(self) -> bool:
        """Go on to the topic's present end, then return."""
        ...

    def report(self, progress: Progress) -> None:
        """Called after each batch; must return at once."""
        ...


class SignalControl:
    """Stops on SIGINT, SIGTERM and SIGHUP, once `listen` was called; a second SIGINT interrupts at once."""

    def __init__(self, *, until_caught_up: bool = False, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._stopping = False
        self._draining = until_caught_up
        self._on_progress = on_progress

    def listen(self) -> SignalControl:
        on_ending(self._ask_to_stop)
        return self

    def _ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._stopping = True

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def draining(self) -> bool:
        return self._draining

    def report(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)


class PipeControl:
    """The supervised side: asks the pipe whether to stop or drain, and reports into it.

    A supervisor that is gone (killed, too) reads as an order to stop.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._stopping = False
        self._draining = False
        self._reported = 0.0
        for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all: only the supervisor acts on them
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._stop())

    def _stop(self) -> None:
        self._stopping = True

    def _listen(self) -> None:
        try:
            while self._pipe.poll():
                order = self._pipe.recv()
                self._stopping |= order == "stop"
                self._draining |= order == "drain"
        except (EOFError, OSError):
            self._stopping = True

    @property
    def stopping(self) -> bool:
        self._listen()
        return self._stopping

    @property
    def draining(self) -> bool:
        self._listen()
        return self._draining

    def report(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._reported >= 0.1:
            self._reported = now
            self.send("progress", progress)

    def send(self, kind: str, content: Any) -> None:
        """Tell the supervisor; a supervisor that is gone is noticed at the next question."""
        with contextlib.suppress(OSError):
            self._pipe.send((kind, content))
