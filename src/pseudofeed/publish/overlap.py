"""Simulating beside sending: the next block is made while the one before is on its way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from pseudofeed.simulate.paths import TickBlock

__all__ = ["simulated_ahead"]


@contextmanager
def simulated_ahead(blocks: Iterator[TickBlock]) -> Iterator[Iterator[tuple[TickBlock, float]]]:
    """Within it, the blocks, each with the seconds that its simulation took. A thread simulates one block ahead.

    What the simulation raises is raised where its block would come. At the end the simulation is asked to stop.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="pseudofeed-simulate") as thread:

        def timed() -> tuple[TickBlock, float] | None:
            began = time.monotonic()
            block = next(blocks, None)
            return None if block is None else (block, time.monotonic() - began)

        def each() -> Iterator[tuple[TickBlock, float]]:
            coming: Future[tuple[TickBlock, float] | None] = thread.submit(timed)
            while (found := coming.result()) is not None:
                coming = thread.submit(timed)
                yield found

        yield each()
