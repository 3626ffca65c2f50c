"""The results of a client: arrays, and DataFrames of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pseudofeed.cache.reader import CachedQuotes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "QuoteArrays",
    "TickArrays",
    "bar_frame",
    "factor_frame",
    "quote_frame",
    "tick_frame",
    "tick_table",
    "time_index",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class QuoteArrays:
    """Quotes, one entry each. time: int64, ns since 1970, UTC. sequence: the step, int64. variance: per year. open,
    high, low: of the session up to the quote; NaN if its beginning is not known. float64, the exact doubles."""

    symbols: list[str]
    time: NDArray[np.int64]
    sequence: NDArray[np.int64]
    price: Floats
    variance: Floats
    open: Floats
    high: Floats
    low: Floats

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def of(cls, symbols: Sequence[str], found: CachedQuotes) -> QuoteArrays:
        """symbols: of the whole market."""
        names = [symbols[number] for number in found.index.tolist()]
        return cls(names, found.time, found.sequence, found.price, found.variance, found.open, found.high, found.low)


@dataclass(frozen=True, slots=True, eq=False)
class TickArrays:
    """Ticks of one instrument, by time. time: int64, ns since 1970, UTC. variance: per year."""

    time: NDArray[np.int64]
    price: Floats
    variance: Floats

    def __len__(self) -> int:
        return len(self.time)


def time_index(time_ns: NDArray[np.int64], name: str | None = "time") -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time_ns.view("M8[ns]"), tz="UTC", name=name)


def quote_frame(quotes: QuoteArrays) -> pd.DataFrame:
    columns = {
        "time": time_index(quotes.time, None),
        "sequence": quotes.sequence,
        **{name: getattr(quotes, name) for name in ("price", "variance", "open", "high", "low")},
    }
    return pd.DataFrame(columns, index=pd.Index(quotes.symbols, name="symbol", dtype="object"))


def tick_frame(ticks: TickArrays) -> pd.DataFrame:
    return pd.DataFrame({"price": ticks.price, "variance": ticks.variance}, index=time_index(ticks.time))


def tick_table(ticks: TickArrays, schema: pa.Schema) -> pa.Table:
    """schema: `arrow_schema` of ticks without symbol and sequence."""
    import pyarrow as pa

    time_type = schema.field("time").type
    time = ticks.time if time_type.unit == "ns" else ticks.time // 1000
    return pa.table([pa.array(time).view(time_type), pa.array(ticks.price), pa.array(ticks.variance)], schema=schema)


def bar_frame(opening: NDArray[np.int64], prices: Sequence[Floats], ticks: NDArray[np.int64]) -> pd.DataFrame:
    """prices: open, high, low, close."""
    columns = dict(zip(("Open", "High", "Low", "Close"), prices, strict=True))
    return pd.DataFrame({**columns, "Volume": ticks}, index=time_index(opening))


def factor_frame(names: Sequence[str], time: NDArray[np.int64], increments: Floats, levels: Floats) -> pd.DataFrame:
    """increments, levels: (T, K)."""
    columns = pd.MultiIndex.from_product([("increment", "level"), names], names=("field", "factor"))
    return pd.DataFrame(np.hstack([increments, levels]), index=time_index(time), columns=columns)
