"""Writes a Parquet file with one row per tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pseudofeed.records import TICK
from pseudofeed.records.arrow import arrow_library, arrow_schema
from pseudofeed.simulate.files.block import Block, Write
from pseudofeed.simulate.files.place import Places, naming

__all__ = ["ROW_GROUP", "parquet_file"]

ROW_GROUP = 1 << 20  # rows; pyarrow's own largest row group

# A row group of 100 and of 10,000 instruments in memory, million rows per second of processor time (best of 7, all ways
# in turn, 2 busy cores) and bytes a row:
#                                                  100              10,000
#   the settings below                         24.3  13.2 B      24.2  15.8 B
#   without compression                        23.1  18.6 B      23.4  17.9 B
#   lz4                                        23.5  12.2 B      24.3  14.1 B    Spark before 3.5 can't read it
#   zstd, level -1                             21.6  12.5 B      21.1  14.0 B
#   zstd, level 1                              19.2  12.5 B      17.2  14.0 B
#   PLAIN doubles                              23.5  16.2 B      21.3  17.7 B
#   statistics of all columns                  18.4  13.2 B       8.6  15.9 B
#   columns that may have nulls                16.2  13.2 B      17.1  15.8 B
#   pyarrow's own settings, with zstd           6.4  15.6 B       3.9  16.4 B
_FORMAT = {
    "compression": "snappy",
    "use_dictionary": ["symbol"],
    "dictionary_pagesize_limit": 1 << 30,  # beyond this limit symbols would be written plain
    "column_encoding": {
        "time": "DELTA_BINARY_PACKED",
        "sequence": "DELTA_BINARY_PACKED",
        "price": "BYTE_STREAM_SPLIT",
        "variance": "BYTE_STREAM_SPLIT",
    },
    # A row group has all symbols, and its prices overlap with the next one's: only statistics of the time help.
    "write_statistics": ["time", "sequence"],
}


@contextmanager
def parquet_file(
    places: Places,
    path: str | Path,
    *,
    symbols: Sequence[str],
    grain_ns: int,
    metadata: Mapping[str, str] | None = None,
) -> Iterator[Write]:
    """Write a Parquet file of the schema `arrow_schema(TICK, grain_ns)`, a row a tick, by time and then by instrument.

    Yields what takes the blocks, whose steps follow one another. Every row group but the last has ROW_GROUP rows.
    metadata: of the file's schema. Memory is about 100 MB. The file appears when the places are moved in. Raises
    LibraryError without pyarrow, and as `Places.file` does.
    """
    pa = arrow_library(needed_for="Parquet")
    parquet = arrow_library("pyarrow.parquet", needed_for="Parquet")
    schema = arrow_schema(TICK, grain_ns).with_metadata(metadata)
    partial = places.file(path)
    with naming(partial):
        writer = parquet.ParquetWriter(partial, schema, **_FORMAT)
    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pseudofeed-parquet") as encoder:
            rows = _Rows(pa, schema, symbols, writer, encoder)

            def write(block: Block) -> None:
                with naming(partial):
                    rows.add(block)

            yield write
            with naming(partial):
                rows.finish()
        with naming(partial):
            writer.close()
    finally:
        with suppress(OSError):  # after an error, closing may fail for the same reason
            writer.close()


class _Columns:
    """The columns of a row group, except the symbol."""

    def __init__(self) -> None:
        self.time, self.sequence = np.empty(ROW_GROUP, np.int64), np.empty(ROW_GROUP, np.int64)
        self.price, self.variance = np.empty(ROW_GROUP), np.empty(ROW_GROUP)


class _Rows:
    """Collects rows until they are a row group, while another thread writes the one before."""

    def __init__(self, pa: Any, schema: Any, symbols: Sequence[str], writer: Any, encoder: ThreadPoolExecutor) -> None:
        self._pa, self._schema, self._writer, self._encoder = pa, schema, writer, encoder
        self._symbols = pa.array(symbols, pa.string())
        self._ns_a_time = 1 if schema.field("time").type.unit == "ns" else 1000
        # Row r of the file has instrument r % N, in each step the same.
        self._instruments = np.resize(np.arange(len(symbols), dtype=np.int32), ROW_GROUP + len(symbols))
        self._first_instrument = 0
        self._gathered, self._being_written = _Columns(), _Columns()
        self._rows = 0
        self._written: Future[None] | None = None

    def add(self, block: Block) -> None:
        steps, count = block.prices.shape
        times = block.time // self._ns_a_time
        sequences = np.arange(block.first_step, block.first_step + steps)
        prices, variances = block.prices.ravel(), block.variances.ravel()
        done = 0
        while done < len(prices):
            end = min(len(prices), done + ROW_GROUP - self._rows)
            rows, part = slice(self._rows, self._rows + end - done), slice(done, end)
            step, last = done // count, -(-end // count)
            of_steps = slice(done - step * count, end - step * count)
            columns = self._gathered
            columns.time[rows] = np.repeat(times[step:last], count)[of_steps]
            columns.sequence[rows] = np.repeat(sequences[step:last], count)[of_steps]
            columns.price[rows], columns.variance[rows] = prices[part], variances[part]
            self._rows += end - done
            done = end
            if self._rows == ROW_GROUP:
                self._write()

    def finish(self) -> None:
        """Write the collected rows, and wait until all rows are written."""
        if self._rows:
            self._write()
        if self._written is not None:
            self._written.result()

    def _write(self) -> None:
        pa, columns, rows, first = self._pa, self._gathered, self._rows, self._first_instrument
        table = pa.table(
            [
                pa.array(columns.time[:rows]).view(self._schema.field("time").type),
                pa.DictionaryArray.from_arrays(pa.array(self._instruments[first : first + rows]), self._symbols),
                *(pa.array(column[:rows]) for column in (columns.sequence, columns.price, columns.variance)),
            ],
            schema=self._schema,
        )
        if self._written is not None:
            self._written.result()
        self._written = self._encoder.submit(self._writer.write_table, table, row_group_size=ROW_GROUP)
        self._gathered, self._being_written = self._being_written, columns
        self._first_instrument = (first + rows) % len(self._symbols)
        self._rows = 0
