"""A folder of CSV files: one for each instrument, and factors.csv."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._csv import csv_size_limit, encode_csv_into
from pseudofeed.simulate.files.block import Block, Write
from pseudofeed.simulate.files.names import FACTORS, portable_names
from pseudofeed.simulate.files.place import Places, naming

__all__ = ["csv_folder"]

Floats = NDArray[np.float64]

# Ticks that are collected before they are written, 16 bytes each: the more, the fewer files are opened. And the most
# rows of a file that are written at once; more are no faster.
_TICKS = 4 << 20
_ROWS = 4096
_TEXT = 4 << 20  # bytes of text per call; Ctrl-C waits for the end of a call


@contextmanager
def csv_folder(
    places: Places,
    path: str | Path,
    *,
    symbols: Sequence[str],
    factor_names: Sequence[str],
    grain_ns: int,
    keep: Sequence[str] | None = None,
) -> Iterator[Write]:
    """Write a folder of CSV files: `<symbol>.csv` (timestamp,price,variance) for each instrument, or those to `keep`,
    and factors.csv (timestamp, and an increment and a level for each factor).

    Yields what takes the blocks. Timestamps are ISO 8601 in UTC, with as many decimals of the second as `grain_ns`
    (`Clock.grain_ns`) needs: 0, 3, 6 or 9, the same in all rows. Numbers have the fewest digits that read back to the
    same double, and a decimal point. `names.py` says how a symbol becomes a file name, `Places.folder` which folder is
    replaced, and what it raises; the folder appears when the places are moved in. One file is open at a time; memory is
    about 70 MB, and more only for markets of more than four million instruments.
    """
    names = portable_names(symbols)
    chosen = list(range(len(symbols))) if keep is None else [symbols.index(symbol) for symbol in keep]
    decimals = next(decimals for decimals in (0, 3, 6, 9) if grain_ns % 10 ** (9 - decimals) == 0)
    folder = places.folder(path)
    ticks = _Files([f"{folder}/{names[number]}.csv" for number in chosen], ["price", "variance"], len(chosen), decimals)
    columns = [f"{name}_{field}" for name in factor_names for field in ("increment", "level")]
    factors = _Files([f"{folder}/{FACTORS}.csv"], columns, len(factor_names), decimals)
    every = slice(None) if keep is None else np.array(chosen)

    def write(block: Block) -> None:
        ticks.add(block.time, block.prices[:, every], block.variances[:, every])
        factors.add(block.time, block.factor_increments, block.factor_levels)

    yield write
    ticks.flush()
    factors.flush()


class _Files:
    """Files of the same columns, side by side in two matrices of `width` columns, whose rows are collected until there
    are enough to write."""

    def __init__(self, paths: Sequence[str], columns: Sequence[str], width: int, decimals: int) -> None:
        self._paths = paths
        self._header = ",".join(["timestamp", *columns]).encode() + b"\n"
        self._decimals = decimals
        self._columns = width // len(paths)
        rows = max(1, min(_ROWS, _TICKS // width))
        self._time = np.empty(rows, dtype=np.int64)
        self._first = np.empty((rows, width))
        self._second = np.empty((rows, width))
        self._rows = 0
        limit = csv_size_limit(rows, 1, self._columns)
        self._at_once = max(1, min(len(paths), _TEXT // limit))
        self._text = bytearray(limit * self._at_once)

    def add(self, time: NDArray[np.int64], first: Floats, second: Floats) -> None:
        """time: (T,); first, second: (T, width)."""
        done = 0
        while done < len(time):
            count = min(len(time) - done, len(self._time) - self._rows)
            rows, part = slice(self._rows, self._rows + count), slice(done, done + count)
            self._time[rows], self._first[rows], self._second[rows] = time[part], first[part], second[part]
            self._rows += count
            done += count
            if self._rows == len(self._time):
                self.flush()

    def flush(self) -> None:
        """Append the collected rows to the files, which begin with a header."""
        rows, self._rows = self._rows, 0
        for begin in range(0, len(self._paths), self._at_once):
            paths = self._paths[begin : begin + self._at_once]
            ends = encode_csv_into(
                self._text,
                times=self._time[:rows],
                decimals=self._decimals,
                first=self._first[:rows],
                second=self._second[:rows],
                begin=begin * self._columns,
                files=len(paths),
                columns=self._columns,
            )
            at = 0
            for path, end in zip(paths, ends.tolist(), strict=True):
                _append(path, self._header, memoryview(self._text)[at:end])
                at = end
        self._header = b""


def _append(path: str, *parts: bytes | memoryview) -> None:
    # Of 10,000 files, a few hundred rows each: 19 us a file, and 31 with Python's own buffer in between.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    with naming(path):
        try:
            for part in parts:
                done = 0
                while done < len(part):
                    done += os.write(file, part[done:])
        finally:
            os.close(file)
