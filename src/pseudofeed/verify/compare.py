"""Ticks against the simulation, bit for bit, with memory for some windows of steps.

A `Comparison` simulates its instruments window after window while rows come in. A row is looked up by (step,
instrument). A key without a row is missing, each row of a key after its first is repeated, a row whose bits are not
the simulation's is altered (repeated or not), and a row of no key is unexpected. So the counts do not depend on the
order of the rows, and ticks = expected - missing + repeated + unexpected.

Two windows are open at a time, and rows may come in any order within them; a stream that is as it should be needs one.
A row that comes when its window is closed counts as repeated: whether it was there before is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode.ticks import TickColumns
from pseudofeed.market import Market
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["Comparison", "describe_tick"]

# Ticks of a window: its simulation, counts and look-up take about 40 bytes each.
_WINDOW_TICKS = 500_000


def describe_tick(time: int, price: float, variance: float) -> str:
    """A tick for a person, to the last digit."""
    stamp = np.datetime64(int(time), "ns")
    return f"{stamp}Z price {float(price)!r} variance {float(variance)!r}"


class _Window:
    """The simulation of some steps and how often each of its ticks was seen."""

    def __init__(self, block: TickBlock, instruments: NDArray[np.int64]) -> None:
        self.block = block
        self.instruments = instruments
        self.seen = np.zeros(block.prices.shape, dtype=np.bool_)


class Comparison:
    """Compares the steps first_step to last_step of some instruments (ascending numbers) and counts into `tally`."""

    def __init__(
        self,
        market: Market,
        instruments: NDArray[np.int64],
        *,
        stage: str,
        tally: StageTally,
        last_step: int,
        first_step: int = 1,
    ) -> None:
        self._market = market
        self._instruments = instruments
        self._stage = stage
        self._tally = tally
        self._first_step, self._last_step = first_step, last_step
        self._column = np.full(len(market.symbols), -1, dtype=np.int64)
        self._column[instruments] = np.arange(len(instruments))
        self._windows: list[_Window] = []
        self._opened = self._closed = first_step - 1
        if not len(instruments):  # a partition without any: whatever comes is unexpected
            self._last_step = self._opened
            self._blocks: Iterator[TickBlock] = iter(())
            return
        steps = max(0, last_step - first_step + 1)
        tally.expected += steps * len(instruments)
        self._blocks = market.stream(
            start_step=first_step,
            steps=steps,
            block_steps=max(1, _WINDOW_TICKS // len(instruments)),
            instruments=instruments,
        )

    def window(self) -> TickBlock | None:
        """Open the next window and return its steps; None behind the last. For readers that ask for ranges of time."""
        if self._opened >= self._last_step:
            return None
        block = next(self._blocks)
        self._windows.append(_Window(block, self._instruments))
        self._opened = block.last_step
        return block

    def add(self, rows: TickColumns, where: Callable[[int], str]) -> None:
        """Look rows up; `where(index)` says the place of a row, asked only for one that differs.

        A row of no step of the clock has sequence -1.
        """
        self._tally.ticks += len(rows)
        known = (rows.instrument >= 0) & (rows.instrument < len(self._column))
        column = np.where(known, self._column[np.where(known, rows.instrument, 0)], -1)
        explained = (column >= 0) & (rows.sequence >= self._first_step) & (rows.sequence <= self._last_step)
        self._unexpected(rows, np.flatnonzero(~explained), where)
        self._repeated(rows, np.flatnonzero(explained & (rows.sequence <= self._closed)), where)
        for window in self._windows:
            self._look_up(window, rows, explained, column, where)
        newest = int(rows.sequence[explained].max(initial=0))
        while self._opened < newest:
            self.window()
            self._look_up(self._windows[-1], rows, explained, column, where)
        # One behind the newest stays open: a retried message may still come.
        while len(self._windows) > 2:
            self._close(self._windows.pop(0))

    def finish(self) -> None:
        """Close all windows: what was not seen is missing."""
        while self._windows or self._opened < self._last_step:
            if not self._windows:
                self.window()
            self._close(self._windows.pop(0))

    def _look_up(
        self,
        window: _Window,
        rows: TickColumns,
        explained: NDArray[np.bool_],
        column: NDArray[np.int64],
        where: Callable[[int], str],
    ) -> None:
        block = window.block
        index = np.flatnonzero(explained & (rows.sequence >= block.first_step) & (rows.sequence <= block.last_step))
        if not len(index):
            return
        row, col = rows.sequence[index] - block.first_step, column[index]
        differs = (
            (rows.time[index] != block.time[row])
            | (rows.price[index].view(np.int64) != block.prices[row, col].view(np.int64))
            | (rows.variance[index].view(np.int64) != block.variances[row, col].view(np.int64))
        )
        self._tally.altered += int(differs.sum())
        if differs.any():
            k = int(np.argmin(np.where(differs, row, len(block.time))))
            expected = describe_tick(block.time[row[k]], block.prices[row[k], col[k]], block.variances[row[k], col[k]])
            self._note("altered", rows, int(index[k]), expected, where)
        key = row * block.prices.shape[1] + col
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        again = np.zeros(len(key), dtype=bool)
        again[order[1:]] = ordered[1:] == ordered[:-1]
        again |= window.seen[row, col]
        window.seen[row, col] = True
        self._repeated(rows, index[again], where)

    def _close(self, window: _Window) -> None:
        absent = np.argwhere(~window.seen)
        self._tally.missing += len(absent)
        if len(absent):
            row, col = absent[0]
            block = window.block
            self._tally.note(
                Difference(
                    stage=self._stage,
                    kind="missing",
                    market=self._market.name,
                    symbol=self._market.symbols[int(self._instruments[col])],
                    step=block.first_step + int(row),
                    expected=describe_tick(block.time[row], block.prices[row, col], block.variances[row, col]),
                    found="nothing",
                    where="no such tick",
                )
            )
        self._closed = window.block.last_step

    def _repeated(self, rows: TickColumns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.repeated += len(index)
        if len(index):
            first = int(index[np.argmin(rows.sequence[index])])
            self._note("repeated", rows, first, "this tick once", where)

    def _unexpected(self, rows: TickColumns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.unexpected += len(index)
        if len(index):
            steps = rows.sequence[index]
            first = int(index[np.argmin(np.where(steps >= 0, steps, np.iinfo(np.int64).max))])
            self._note("unexpected", rows, first, "no such tick", where)

    def _note(self, kind: str, rows: TickColumns, i: int, expected: str, where: Callable[[int], str]) -> None:
        number, sequence = int(rows.instrument[i]), int(rows.sequence[i])
        symbols = self._market.symbols
        self._tally.note(
            Difference(
                stage=self._stage,
                kind=kind,
                market=self._market.name,
                symbol=symbols[number] if 0 <= number < len(symbols) else f"number {number}",
                step=sequence if sequence >= 0 else None,
                expected=expected,
                found=describe_tick(int(rows.time[i]), float(rows.price[i]), float(rows.variance[i])),
                where=where(i),
            )
        )
