"""The signals that ask a process to end: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the terminal was closed).

SIGQUIT and SIGKILL end a process without a chance to tidy up; that is what they are for.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ENDING", "Interrupted", "interrupt_on_signals", "on_ending", "signals_held"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Handler = Callable[[int, FrameType | None], object]


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; `number` says which one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def on_ending(
    handler: _Handler, *, stay_ignored: Collection[signal.Signals] = (signal.SIGHUP,)
) -> dict[signal.Signals, signal.Handlers | _Handler | int | None]:
    """Call the handler at each of these signals; the handlers that were there before.

    stay_ignored: those that stay ignored where whoever started the process wants that. nohup does for SIGHUP, and a
    shell that starts a job in the background for SIGINT.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, was in before.items():
        if was is not signal.SIG_IGN or number not in stay_ignored:
            signal.signal(number, handler)
    return before


def interrupt_on_signals() -> None:
    """Raise Interrupted, a KeyboardInterrupt, in the main thread at each of these signals, so that what is half written
    is removed."""
    on_ending(_interrupt, stay_ignored=ENDING)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def signals_held() -> Iterator[None]:
    """These signals take effect after the block. Only the main thread runs handlers: in others nothing is held."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = on_ending(lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
