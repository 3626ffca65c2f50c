"""The results of a simulation: a whole run (`Paths`), or one block of a stream (`TickBlock`) with the state at its
end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.simulate.state import FACTOR_LEVEL, PRICE, VARIANCE, MarketState

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pseudofeed.simulate.files.block import Write

__all__ = ["Paths", "TickBlock"]

Floats = NDArray[np.float64]

_WRITTEN_AT_ONCE = 1 << 20  # ticks that are written to a file at once, between two updates of the progress bar


@dataclass(frozen=True, slots=True, eq=False)
class TickBlock:
    """Consecutive steps of a market: row j is step first_step + j, the columns are instruments in the market's order.

    time: int64 (T,), ns since 1970, UTC. prices, variances: float64 (T, N). factor_increments, factor_levels:
    float64 (T, K). hidden: the scheme's hidden numbers after the last step, (N,) each by name; None: not known.
    """

    first_step: int
    time: NDArray[np.int64]
    prices: Floats
    variances: Floats
    factor_increments: Floats
    factor_levels: Floats
    hidden: Mapping[str, Floats] | None = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        return self.first_step + len(self.time) - 1

    def part(self, begin: int, end: int) -> TickBlock:
        """The rows begin to end - 1, as views."""
        rows = slice(begin, end)
        return TickBlock(
            self.first_step + begin,
            self.time[rows],
            self.prices[rows],
            self.variances[rows],
            self.factor_increments[rows],
            self.factor_levels[rows],
            self.hidden if not self.hidden or self.first_step + end > self.last_step else None,
        )

    @property
    def state(self) -> MarketState:
        """The state after the last step, a copy: with it `Market.stream` continues after this block. Raises ValueError
        if the block is the first part of another, whose hidden numbers are not known."""
        if self.hidden is None:
            raise ValueError(
                f"the state after step {self.last_step} is not known: the block is the first part of another"
            )
        arrays = {
            PRICE: self.prices[-1],
            VARIANCE: self.variances[-1],
            **self.hidden,
            FACTOR_LEVEL: self.factor_levels[-1],
        }
        return MarketState(self.last_step, {name: array.copy() for name, array in arrays.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """A run from its start: row 0 is the start (step 0), row j is step j.

    time: int64 (T+1,), ns since 1970, UTC. prices, variances: float64 (T+1, N). factor_increments: float64 (T,
    K), that of step j in row j - 1. factor_levels: float64 (T+1, K). grain_ns: that of the market's clock; times in
    files have as many decimals as it needs.
    """

    symbols: tuple[str, ...]
    factor_names: tuple[str, ...]
    time: NDArray[np.int64]
    prices: Floats
    variances: Floats
    factor_increments: Floats
    factor_levels: Floats
    grain_ns: int

    def ticks(self) -> TickBlock:
        """The steps 1 to T, without the start, as one block of views."""
        return TickBlock(
            1, self.time[1:], self.prices[1:], self.variances[1:], self.factor_increments, self.factor_levels[1:]
        )

    def to_pandas(self) -> pd.DataFrame:
        """A wide frame: index `time` (UTC), columns (field, symbol); `paths.to_pandas()["price"]` is the frame
        of prices alone."""
        import pandas as pd

        index = pd.to_datetime(self.time, utc=True).rename("time")
        columns = pd.MultiIndex.from_product([("price", "variance"), self.symbols], names=("field", "symbol"))
        return pd.DataFrame(np.hstack([self.prices, self.variances]), index=index, columns=columns)

    def to_csv(self, directory: str | Path) -> None:
        """Write the ticks (not the start) into a folder of CSV files, one for each instrument, and factors.csv.

        Columns: timestamp (ISO 8601, UTC), price, variance. The folder appears complete or not at all. An existing
        one is replaced as a whole if it is empty or has only such files. Raises SettingsError if it has others;
        see `simulate.files.csv.csv_folder`.
        """
        from pseudofeed.simulate.files.csv import csv_folder
        from pseudofeed.simulate.files.place import new_places

        with new_places() as places:
            folder = csv_folder(
                places, directory, symbols=self.symbols, factor_names=self.factor_names, grain_ns=self.grain_ns
            )
            self._write(folder, directory)

    def to_parquet(self, path: str | Path) -> None:
        """Write the ticks (not the start) into a Parquet file, one row each: time, symbol, sequence, price, variance.

        Times are in microseconds, or in nanoseconds if the steps need them. An existing file is replaced when the new
        one is complete. Raises LibraryError without pyarrow; see `simulate.files.parquet.parquet_file`.
        """
        from pseudofeed.simulate.files.parquet import parquet_file
        from pseudofeed.simulate.files.place import new_places

        with new_places() as places:
            self._write(parquet_file(places, path, symbols=self.symbols, grain_ns=self.grain_ns), path)

    def plot(self, file: str | Path | None = None, *, symbols: Sequence[str] | None = None, title: str = "") -> Figure:
        """Plot prices (as a per cent of their start), volatilities in force and factor levels over time.

        symbols: which instruments; the first six where none are named. file: also write the picture there, in the
        format of its ending. Returns the matplotlib figure. Raises UnknownSymbol, SettingsError for a format that
        matplotlib does not know, or LibraryError without matplotlib.
        """
        from pseudofeed.simulate.plot import Curves, draw, shown_columns

        columns = shown_columns(self.symbols, symbols)
        curves = Curves(
            [self.symbols[column] for column in columns],
            self.factor_names,
            self.time,
            self.prices[:, columns],
            self.variances[:, columns],
            self.factor_levels,
        )
        return draw(curves, file, title=title)

    def _write(self, file: AbstractContextManager[Write], place: str | Path) -> None:
        from pseudofeed.simulate.files.walk import write_blocks

        ticks = self.ticks()
        rows = max(1, _WRITTEN_AT_ONCE // len(self.symbols))
        parts = (ticks.part(first, first + rows) for first in range(0, len(ticks.time), rows))
        write_blocks(parts, [file], what=f"writing {Path(place).name or place}", total=ticks.prices.size)
