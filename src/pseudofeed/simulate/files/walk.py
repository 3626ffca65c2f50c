"""Writes the blocks of one simulation to several files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from pseudofeed.simulate.files.block import Block, Write
from pseudofeed.simulate.progress import watched

__all__ = ["write_blocks"]

_Block = TypeVar("_Block", bound=Block)


def write_blocks(
    blocks: Iterable[_Block], files: Sequence[AbstractContextManager[Write]], *, what: str, total: int
) -> _Block:
    """Give each block, of which there is at least one, to all files, and close them; the last block.

    Their places are not moved in yet, so an error of one leaves nothing of the others. A person at a terminal sees the
    progress. what, total: its name and the ticks of all blocks.
    """
    last: _Block | None = None
    with ExitStack() as stack:
        writes = [stack.enter_context(file) for file in files]
        with watched(what, total) as advance:
            for last in blocks:
                for write in writes:
                    write(last)
                advance(last.prices.size)
    assert last is not None
    return last
