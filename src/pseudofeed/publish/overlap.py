"""Simulating while sending: the next block is simulated while the one before is on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from pseudofeed.simulate.models import Stopping
from pseudofeed.simulate.paths import TickBlock

__all__ = ["Simulate", "simulated_ahead"]

ASK_SECONDS = 0.05


class Simulate(Protocol):
    """Blocks in order; they end early where `stopping()`, which is asked while a block is made, says so."""

    def __call__(self, *, stopping: Stopping) -> Iterator[TickBlock]: ...


@contextmanager
def simulated_ahead(simulate: Simulate, *, stopping: Callable[[], bool]) -> Iterator[Iterator[tuple[TickBlock, float]]]:
    """Within it, the blocks, each with the seconds that its simulation took. A thread simulates one block ahead.

    What the simulation raises is raised where its block would come. The simulation ends, in the middle of a block, when
    the context does, and when `stopping()` says so, which the caller's thread asks while it waits for a block.
    """
    ended = threading.Event()
    blocks = simulate(stopping=ended.is_set)

    def timed() -> tuple[TickBlock, float] | None:
        began = time.monotonic()
        block = next(blocks, None)
        return None if block is None else (block, time.monotonic() - began)

    def wait(coming: Future[tuple[TickBlock, float] | None]) -> tuple[TickBlock, float] | None:
        while True:
            try:
                return coming.result(ASK_SECONDS)
            except TimeoutError:
                if coming.done():
                    raise
                if stopping():
                    ended.set()

    def each(thread: ThreadPoolExecutor) -> Iterator[tuple[TickBlock, float]]:
        coming = thread.submit(timed)
        while (found := wait(coming)) is not None:
            coming = thread.submit(timed)
            yield found

    with ThreadPoolExecutor(1, thread_name_prefix="pseudofeed-simulate") as thread:
        try:
            yield each(thread)
        finally:
            ended.set()
