"""What a simulation gives out: a whole run (`Paths`), or one block of a stream (`TickBlock`) and the state it ends
in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MarketState", "Paths", "TickBlock"]

Floats = NDArray[np.float64]


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

        write_csv([self.ticks()], directory, symbols=self.symbols, factor_names=self.factor_names)

    def to_parquet(self, path: str | Path) -> None:
        """Write the ticks (not the start), one row each; see `simulate.files.write_parquet`."""
        from pseudofeed.simulate.files import write_parquet

        write_parquet([self.ticks()], path, symbols=self.symbols)
