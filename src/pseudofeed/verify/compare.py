"""Compares rows of a kind with the simulation, bit for bit, with memory for some windows of steps.

A `Comparison` simulates its members window after window while rows arrive. A row is looked up by its key: step and
number, and for events also the event. A key without a row is missing. Each row of a key after its first is repeated. A
row with other bits than the simulation is altered (repeated or not). A row with an unknown key is unexpected. So the
counts do not depend on the order of the rows, and ticks = expected - missing + repeated + unexpected.

Two windows are open at a time, and rows may arrive in any order within them; a correct stream needs only one. A row
that arrives when its window is closed counts as repeated, since it is no longer known whether it was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns, Kind
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.rows import blocks_of
from pseudofeed.verify.report import Difference, StageTally
from pseudofeed.verify.window import Window, describe_row, open_window

__all__ = ["Comparison"]

# Ticks of a window: its simulation, counts and look-up take about 40 bytes each.
_WINDOW_TICKS = 500_000


class Comparison:
    """Compares the steps first_step to last_step of some members of a kind (ascending numbers) and counts into
    `tally`."""

    def __init__(
        self,
        market: Market,
        members: NDArray[np.int64],
        *,
        stage: str,
        tally: StageTally,
        last_step: int,
        first_step: int = 1,
        kind: Kind = TICK,
    ) -> None:
        self._market, self._kind = market, kind
        self._names = kind.key.names(market)
        self._members = members
        self._stage = stage
        self._tally = tally
        self._first_step, self._last_step = first_step, last_step
        self._column = np.full(len(self._names), -1, dtype=np.int64)
        self._column[members] = np.arange(len(members))
        self._windows: list[Window] = []
        self._opened = self._closed = first_step - 1
        if not len(members):  # a partition without members: every row is unexpected
            self._last_step = self._opened
            self._blocks: Iterator[TickBlock] = iter(())
            return
        steps = max(0, last_step - first_step + 1)
        block_steps = max(1, _WINDOW_TICKS // len(members))
        self._blocks = blocks_of(
            kind, market, members, first_step=first_step, steps=steps, block_steps=block_steps
        )  # fmt: skip

    def window(self) -> TickBlock | None:
        """Open the next window and return its steps; None after the last. For readers that query ranges of time."""
        if self._opened >= self._last_step:
            return None
        block = next(self._blocks)
        window = open_window(self._kind, block, self._members)
        self._tally.expected += len(window.seen)
        self._windows.append(window)
        self._opened = block.last_step
        return block

    def add(self, rows: Columns, where: Callable[[int], str]) -> None:
        """Look rows up; `where(index)` returns the place of a row, and is called only for one that differs.

        A row at no step of the clock has sequence -1.
        """
        self._tally.ticks += len(rows)
        known = (rows.number >= 0) & (rows.number < len(self._column))
        column = np.where(known, self._column[np.where(known, rows.number, 0)], -1)
        explained = (column >= 0) & (rows.sequence >= self._first_step) & (rows.sequence <= self._last_step)
        self._unexpected(rows, np.flatnonzero(~explained), where)
        self._repeated(rows, np.flatnonzero(explained & (rows.sequence <= self._closed)), where)
        for window in self._windows:
            self._look_up(window, rows, explained, column, where)
        newest = int(rows.sequence[explained].max(initial=0))
        while self._opened < newest:
            self.window()
            self._look_up(self._windows[-1], rows, explained, column, where)
        # The window before the newest stays open: a retried message may still arrive.
        while len(self._windows) > 2:
            self._close(self._windows.pop(0))

    def finish(self) -> None:
        """Close all windows: rows that were not seen are missing."""
        while self._windows or self._opened < self._last_step:
            if not self._windows:
                self.window()
            self._close(self._windows.pop(0))

    def _look_up(
        self,
        window: Window,
        rows: Columns,
        explained: NDArray[np.bool_],
        column: NDArray[np.int64],
        where: Callable[[int], str],
    ) -> None:
        index = np.flatnonzero(explained & (rows.sequence >= window.first_step) & (rows.sequence <= window.last_step))
        if not len(index):
            return
        place = window.find(rows, index, column[index])
        self._unexpected(rows, index[place < 0], where)
        index, place = index[place >= 0], place[place >= 0]
        differs = window.differs(rows, index, place)
        self._tally.altered += int(differs.sum())
        if differs.any():
            k = int(np.argmin(np.where(differs, rows.sequence[index], np.iinfo(np.int64).max)))
            self._note("altered", rows, int(index[k]), window.describe(int(place[k])), where)
        order = np.argsort(place, kind="stable")
        ordered = place[order]
        again = np.zeros(len(place), dtype=bool)
        again[order[1:]] = ordered[1:] == ordered[:-1]
        again |= window.seen[place]
        window.seen[place] = True
        self._repeated(rows, index[again], where)

    def _close(self, window: Window) -> None:
        absent = np.flatnonzero(~window.seen)
        self._tally.missing += len(absent)
        if len(absent):
            first = int(absent[0])
            step, number = window.key(first)
            self._tally.note(
                Difference(
                    stage=self._stage,
                    kind="missing",
                    what=self._kind.name,
                    of=self._kind.key.value,
                    market=self._market.name,
                    symbol=self._names[number],
                    step=step,
                    expected=window.describe(first),
                    found="nothing",
                    where=f"no such {self._kind.name}",
                )
            )
        self._closed = window.last_step

    def _repeated(self, rows: Columns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.repeated += len(index)
        if len(index):
            first = int(index[np.argmin(rows.sequence[index])])
            self._note("repeated", rows, first, f"this {self._kind.name} once", where)

    def _unexpected(self, rows: Columns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.unexpected += len(index)
        if len(index):
            steps = rows.sequence[index]
            first = int(index[np.argmin(np.where(steps >= 0, steps, np.iinfo(np.int64).max))])
            self._note("unexpected", rows, first, f"no such {self._kind.name}", where)

    def _note(self, what: str, rows: Columns, i: int, expected: str, where: Callable[[int], str]) -> None:
        number, sequence = int(rows.number[i]), int(rows.sequence[i])
        names = self._names
        self._tally.note(
            Difference(
                stage=self._stage,
                kind=what,
                what=self._kind.name,
                of=self._kind.key.value,
                market=self._market.name,
                symbol=names[number] if 0 <= number < len(names) else f"number {number}",
                step=sequence if sequence >= 0 else None,
                expected=expected,
                found=describe_row(rows, i),
                where=where(i),
            )
        )
