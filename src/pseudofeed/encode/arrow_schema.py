"""The Arrow schema of ticks: the same for Parquet files, for the store, and for what is simulated again."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from pseudofeed.errors import LibraryError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_library", "tick_schema"]


def arrow_library(name: str = "pyarrow", *, needed_for: str) -> ModuleType:
    """A module of pyarrow or ADBC. Raises LibraryError, which says what needs it and what to install."""
    try:
        return import_module(name)
    except ImportError:
        raise LibraryError(f"{needed_for} needs {name.split('.')[0]}: pip install 'pseudofeed[arrow]'") from None


def tick_schema(grain_ns: int, *columns: str) -> pa.Schema:
    """Time, symbol, sequence, price and variance of ticks, or those of the columns that are named, in their order.

    grain_ns: `Clock.grain_ns` of the market. Where it is a whole number of microseconds the time is timestamp[us, UTC],
    which Spark and PostgreSQL read, and otherwise timestamp[ns, UTC], which they don't. No column has nulls. Raises
    LibraryError without pyarrow.
    """
    pa = arrow_library(needed_for="Arrow")
    fields = {
        "time": pa.timestamp("ns" if grain_ns % 1000 else "us", tz="UTC"),
        "symbol": pa.dictionary(pa.int32(), pa.string()),
        "sequence": pa.int64(),
        "price": pa.float64(),
        "variance": pa.float64(),
    }
    return pa.schema([pa.field(name, fields[name], nullable=False) for name in columns or fields])
