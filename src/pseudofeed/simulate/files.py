"""Ticks as files: CSV for a look, Parquet for tools. Both take a stream of blocks, so any length fits in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pseudofeed.errors import LibraryError
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.progress import watched

__all__ = ["arrow_modules", "csv_name", "write_csv", "write_parquet"]

_FACTORS = "factors"


def csv_name(symbol: str) -> str:
    """The file of a symbol: the symbol itself, with what a file name can't carry percent-encoded.

    So is the first letter of a symbol "factors", in whatever case: factors.csv holds the factors. No two symbols have
    one name, since a symbol has no per cent sign; `urllib.parse.unquote` gives the symbol back.
    """
    name = quote(symbol, safe="$+=@~^-_.")
    if name.lower() == _FACTORS:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return f"{name}.csv"


def write_csv(
    blocks: Iterable[TickBlock],
    directory: str | Path,
    *,
    symbols: Sequence[str],
    factor_names: Sequence[str],
    keep: Sequence[str] | None = None,
    total: int | None = None,
) -> None:
    """Write `<symbol>.csv` (timestamp,price,variance) for each instrument, or those to `keep`, and factors.csv with
    increments and levels.

    Timestamps are ISO 8601, UTC; numbers are the shortest text that reads back to the same double. Existing files
    are replaced. total: how many ticks will be written, for the progress that a person at a terminal sees.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [
        (column, folder / csv_name(symbol)) for column, symbol in enumerate(symbols) if keep is None or symbol in keep
    ]
    with watched(f"writing {folder.name or folder}", total) as advance:
        for number, block in enumerate(blocks):
            stamps = _iso(block.time)
            for column, path in kept:
                frame = pd.DataFrame(
                    {"timestamp": stamps, "price": block.prices[:, column], "variance": block.variances[:, column]}
                )
                _append(frame, path, first=number == 0)
                advance(len(frame))
            columns: dict[str, object] = {"timestamp": stamps}
            for k, name in enumerate(factor_names):
                columns[f"{name}_increment"] = block.factor_increments[:, k]
                columns[f"{name}_level"] = block.factor_levels[:, k]
            _append(pd.DataFrame(columns), folder / f"{_FACTORS}.csv", first=number == 0)


def arrow_modules() -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises LibraryError where they are not installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise LibraryError("Parquet files need pyarrow: pip install 'pseudofeed[arrow]'") from None
    return pa, parquet


def write_parquet(
    blocks: Iterable[TickBlock],
    path: str | Path,
    *,
    symbols: Sequence[str],
    total: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one row a tick, ordered by time then instrument: time (timestamp[ns, UTC]), symbol (dictionary),
    sequence, price, variance. total: as in `write_csv`. metadata: of the file's schema."""
    pa, parquet = arrow_modules()
    schema = pa.schema(
        [
            ("time", pa.timestamp("ns", tz="UTC")),
            ("symbol", pa.dictionary(pa.int32(), pa.string())),
            ("sequence", pa.int64()),
            ("price", pa.float64()),
            ("variance", pa.float64()),
        ],
        metadata=metadata,
    )
    names = pa.array(symbols, pa.string())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with (
        parquet.ParquetWriter(path, schema, compression="zstd") as writer,
        watched(f"writing {Path(path).name}", total) as advance,
    ):
        for block in blocks:
            steps, count = block.prices.shape
            numbers = np.tile(np.arange(count, dtype=np.int32), steps)
            sequence = np.repeat(np.arange(block.first_step, block.first_step + steps), count)
            writer.write_table(
                pa.table(
                    [
                        pa.array(np.repeat(block.time, count)).cast(schema.field("time").type),
                        pa.DictionaryArray.from_arrays(pa.array(numbers), names),
                        pa.array(sequence),
                        pa.array(block.prices.ravel()),
                        pa.array(block.variances.ravel()),
                    ],
                    schema=schema,
                )
            )
            advance(steps * count)


def _append(frame: pd.DataFrame, path: Path, *, first: bool) -> None:
    # One file open at a time: 10,000 instruments would exceed the limit on open files.
    frame.to_csv(path, mode="w" if first else "a", header=first, index=False)


def _iso(time: NDArray[np.int64]) -> NDArray[np.str_]:
    """2026-03-02T14:30:01Z, with as many decimals of a second as the block's times need."""
    stamps = time.astype("datetime64[ns]")
    if not (time % 10**9).any():
        text = np.datetime_as_string(stamps, unit="s")
    elif not (time % 10**6).any():
        text = np.datetime_as_string(stamps, unit="ms")
    elif not (time % 10**3).any():
        text = np.datetime_as_string(stamps, unit="us")
    else:
        text = np.datetime_as_string(stamps, unit="ns")
    return np.char.add(text, "Z")
