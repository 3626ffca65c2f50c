"""What a simulation gives out: a whole run (`Paths`), or one block of a stream (`TickBlock`) and the state it ends
in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["MarketState", "Paths", "TickBlock"]

Floats = NDArray[np.float64]

_ROW_GROUP = 1_048_576  # rows of a Parquet file that are made and written at once; pyarrow's own largest row group


@dataclass(frozen=True, slots=True, eq=False)
class MarketState:
    """All that the steps after `step` depend on: prices (N,), variances (N,), factor levels (K,), float64."""

    step: int
    prices: Floats
    variances: Floats
    factor_levels: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TickBlock:
    """Consecutive steps of a market: row j is step first_step + j, the columns are instruments in the market's order.

    time: int64 (T,), ns since the epoch, UTC. prices, variances: float64 (T, N). factor_increments, factor_levels:
    float64 (T, K).
    """

    first_step: int
    time: NDArray[np.int64]
    prices: Floats
    variances: Floats
    factor_increments: Floats
    factor_levels: Floats

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
        )

    @property
    def state(self) -> MarketState:
        """The state at the last step, a copy: with it `Market.stream` goes on behind this block."""
        return MarketState(
            self.last_step, self.prices[-1].copy(), self.variances[-1].copy(), self.factor_levels[-1].copy()
        )


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """A run from its start: row 0 is the start (step 0), row j is step j.

    time: int64 (T+1,), ns since the epoch, UTC. prices, variances: float64 (T+1, N). factor_increments: float64 (T,
    K), that of step j in row
    j - 1. factor_levels: float64 (T+1, K).
    """

    symbols: tuple[str, ...]
    factor_names: tuple[str, ...]
    time: NDArray[np.int64]
    prices: Floats
    variances: Floats
    factor_increments: Floats
    factor_levels: Floats

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
        """Write the ticks (not the start): a file an instrument, and factors.csv; see `simulate.files.write_csv`."""
        from pseudofeed.simulate.files import write_csv

        ticks = self.ticks()
        write_csv([ticks], directory, symbols=self.symbols, factor_names=self.factor_names, total=ticks.prices.size)

    def to_parquet(self, path: str | Path) -> None:
        """Write the ticks (not the start), one row each; see `simulate.files.write_parquet`."""
        from pseudofeed.simulate.files import write_parquet

        ticks = self.ticks()
        rows = max(1, _ROW_GROUP // len(self.symbols))
        blocks = (ticks.part(first, first + rows) for first in range(0, len(ticks.time), rows))
        write_parquet(blocks, path, symbols=self.symbols, total=ticks.prices.size)

    def plot(self, file: str | Path | None = None, *, symbols: Sequence[str] | None = None, title: str = "") -> Figure:
        """Plot prices (as a per cent of their start), volatilities in force and factor levels over time.

        symbols: which instruments; the first six where not given. file: the picture is written there, in the format of
        its ending. Returns the matplotlib figure. Raises UnknownSymbol, or LibraryError without matplotlib.
        """
        from pseudofeed.simulate.plot import plot_paths

        return plot_paths(self, file, symbols=symbols, title=title)
