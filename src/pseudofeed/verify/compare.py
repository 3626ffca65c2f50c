"""Ticks, or factors, against the simulation, bit for bit, with memory for some windows of steps.

A `Comparison` simulates its instruments window after window while rows come in. A row is looked up by (step,
instrument). A key without a row is missing, each row of a key after its first is repeated, a row whose bits are not
the simulation's is altered (repeated or not), and a row of no key is unexpected. So the counts do not depend on the
order of the rows, and ticks = expected - missing + repeated + unexpected.

Two windows are open at a time, and rows may come in any order within them; a stream that is as it should be needs one.
A row that comes when its window is closed counts as repeated: whether it was there before is forgotten.

Factors are rows of the same form, as in consume/stream.py: the factor's number in `instrument`, increment and level in
`price` and `variance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode.ticks import TickColumns
from pseudofeed.market import Market
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.stream import stream_factors
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["FACTORS", "TICKS", "Comparison", "Series"]

# Ticks of a window: its simulation, counts and look-up take about 40 bytes each.
_WINDOW_TICKS = 500_000


@dataclass(frozen=True, slots=True)
class Series:
    """What is compared. what: the word for one row; values: for its two doubles."""

    what: str
    values: tuple[str, str]

    def describe(self, time: int, first: float, second: float) -> str:
        """A row for a person, to the last digit."""
        names = self.values
        return f"{np.datetime64(int(time), 'ns')}Z {names[0]} {float(first)!r} {names[1]} {float(second)!r}"

    def names(self, market: Market) -> tuple[str, ...]:
        """By number."""
        return market.factors.names if self is FACTORS else market.symbols


TICKS = Series("tick", ("price", "variance"))
FACTORS = Series("factor", ("increment", "level"))


class _Window:
    """The simulation of some steps, (T,) and twice (T, M), and which of its rows were seen."""

    def __init__(self, block: TickBlock, series: Series) -> None:
        self.first_step, self.last_step, self.time = block.first_step, block.last_step, block.time
        if series is FACTORS:
            self.first, self.second = block.factor_increments, block.factor_levels
        else:
            self.first, self.second = block.prices, block.variances
        self.seen = np.zeros(self.first.shape, dtype=np.bool_)


class Comparison:
    """Compares the steps first_step to last_step of some instruments (ascending numbers) and counts into `tally`.

    series: FACTORS, where they are factors.
    """

    def __init__(
        self,
        market: Market,
        instruments: NDArray[np.int64],
        *,
        stage: str,
        tally: StageTally,
        last_step: int,
        first_step: int = 1,
        series: Series = TICKS,
    ) -> None:
        self._market, self._series = market, series
        self._names = series.names(market)
        self._instruments = instruments
        self._stage = stage
        self._tally = tally
        self._first_step, self._last_step = first_step, last_step
        self._column = np.full(len(self._names), -1, dtype=np.int64)
        self._column[instruments] = np.arange(len(instruments))
        self._windows: list[_Window] = []
        self._opened = self._closed = first_step - 1
        if not len(instruments):  # a partition without any: whatever comes is unexpected
            self._last_step = self._opened
            self._blocks: Iterator[TickBlock] = iter(())
            return
        steps = max(0, last_step - first_step + 1)
        tally.expected += steps * len(instruments)
        block_steps = max(1, _WINDOW_TICKS // len(instruments))
        if series is FACTORS:
            self._blocks = _factor_blocks(market, first_step, steps, block_steps)
        else:
            self._blocks = market.stream(
                start_step=first_step, steps=steps, block_steps=block_steps, instruments=instruments
            )

    def window(self) -> TickBlock | None:
        """Open the next window and return its steps; None behind the last. For readers that ask for ranges of time."""
        if self._opened >= self._last_step:
            return None
        block = next(self._blocks)
        self._windows.append(_Window(block, self._series))
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
        index = np.flatnonzero(explained & (rows.sequence >= window.first_step) & (rows.sequence <= window.last_step))
        if not len(index):
            return
        row, col = rows.sequence[index] - window.first_step, column[index]
        differs = (
            (rows.time[index] != window.time[row])
            | (rows.price[index].view(np.int64) != window.first[row, col].view(np.int64))
            | (rows.variance[index].view(np.int64) != window.second[row, col].view(np.int64))
        )
        self._tally.altered += int(differs.sum())
        if differs.any():
            k = int(np.argmin(np.where(differs, row, len(window.time))))
            at = row[k], col[k]
            expected = self._series.describe(window.time[row[k]], window.first[at], window.second[at])
            self._note("altered", rows, int(index[k]), expected, where)
        key = row * window.first.shape[1] + col
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
            self._tally.note(
                Difference(
                    stage=self._stage,
                    kind="missing",
                    what=self._series.what,
                    market=self._market.name,
                    symbol=self._names[int(self._instruments[col])],
                    step=window.first_step + int(row),
                    expected=self._series.describe(window.time[row], window.first[row, col], window.second[row, col]),
                    found="nothing",
                    where=f"no such {self._series.what}",
                )
            )
        self._closed = window.last_step

    def _repeated(self, rows: TickColumns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.repeated += len(index)
        if len(index):
            first = int(index[np.argmin(rows.sequence[index])])
            self._note("repeated", rows, first, f"this {self._series.what} once", where)

    def _unexpected(self, rows: TickColumns, index: NDArray[np.int64], where: Callable[[int], str]) -> None:
        self._tally.unexpected += len(index)
        if len(index):
            steps = rows.sequence[index]
            first = int(index[np.argmin(np.where(steps >= 0, steps, np.iinfo(np.int64).max))])
            self._note("unexpected", rows, first, f"no such {self._series.what}", where)

    def _note(self, kind: str, rows: TickColumns, i: int, expected: str, where: Callable[[int], str]) -> None:
        number, sequence = int(rows.instrument[i]), int(rows.sequence[i])
        names = self._names
        self._tally.note(
            Difference(
                stage=self._stage,
                kind=kind,
                what=self._series.what,
                market=self._market.name,
                symbol=names[number] if 0 <= number < len(names) else f"number {number}",
                step=sequence if sequence >= 0 else None,
                expected=expected,
                found=self._series.describe(int(rows.time[i]), float(rows.price[i]), float(rows.variance[i])),
                where=where(i),
            )
        )


def _factor_blocks(market: Market, first_step: int, steps: int, block_steps: int) -> Iterator[TickBlock]:
    """The factors' steps from `first_step` on; those before it are walked through."""
    levels = np.zeros(len(market.factors.names))
    for block in stream_factors(market, start_step=1, steps=first_step - 1, block_steps=block_steps, levels=levels):
        levels = block.factor_levels[-1]
    yield from stream_factors(market, start_step=first_step, steps=steps, block_steps=block_steps, levels=levels)
