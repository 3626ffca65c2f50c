"""The Arrow schema of a kind's rows: one for the store, the simulation and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudofeed.errors import LibraryError
from pseudofeed.records.kind import Key, Kind, Shape

if TYPE_CHECKING:
    import pyarrow as pa

    from pseudofeed.market import Market

__all__ = ["arrow_fields", "arrow_schema", "time_unit"]


def time_unit(kind: Kind, market: Market) -> str:
    """ "us" where all times of a market's kind are whole microseconds, which is what Spark and PostgreSQL read; else
    "ns"."""
    return "us" if kind.shape is Shape.DENSE and market.store_problem() is None else "ns"


def arrow_fields(
    kind: Kind, *, unit: str = "us", symbol: bool = False, sequence: bool = False
) -> list[tuple[str, Any]]:
    """(name, type) of the columns: time, the symbol (or factor) as a dictionary and the sequence if asked for, and the
    kind's fields. unit: of the times, "us" or "ns". Raises LibraryError without pyarrow."""
    library = _library()
    columns: list[tuple[str, Any]] = [("time", library.timestamp(unit, tz="UTC"))]
    if symbol:
        name = "symbol" if kind.key is Key.INSTRUMENT else kind.key.value
        columns.append((name, library.dictionary(library.int32(), library.string())))
    if sequence:
        columns.append(("sequence", library.int64()))
    if kind.shape is Shape.EVENTS and sequence:
        columns.append(("event", library.uint16()))
    for field in kind.fields:
        dtype = np.dtype(field.type.numpy)
        columns.append((field.name, library.string() if dtype.kind == "S" else library.from_numpy_dtype(dtype)))
    return columns


def arrow_schema(
    kind: Kind,
    *,
    unit: str = "us",
    symbol: bool = False,
    sequence: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> pa.Schema:
    """`arrow_fields` as a schema. metadata: of the schema."""
    return _library().schema(arrow_fields(kind, unit=unit, symbol=symbol, sequence=sequence), metadata=metadata)


def _library() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise LibraryError("Arrow tables and files need pyarrow: pip install 'pseudofeed[arrow]'") from None
    return pa
