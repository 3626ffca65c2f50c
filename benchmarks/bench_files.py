"""Files beside what a Python program would write: pandas' to_csv for each instrument, pyarrow's own Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from pytest_benchmark.fixture import BenchmarkFixture

from pseudofeed.market import Market
from pseudofeed.simulate.export import export_market
from pseudofeed.simulate.files.csv import csv_folder
from pseudofeed.simulate.files.parquet import parquet_file
from pseudofeed.simulate.files.place import new_places
from pseudofeed.simulate.files.walk import write_blocks
from pseudofeed.simulate.paths import TickBlock

# Ticks that a round writes; of to_csv a fraction, in blocks as a stream has them.
TICKS = {"csv": 4_000_000, "parquet": 8_000_000, "to_csv": 60_000}


@cache
def market(instruments: int) -> Market:
    return Market.sample(instruments=instruments)


@cache
def blocks(instruments: int, ticks: int) -> list[TickBlock]:
    return list(market(instruments).stream(steps=max(1, ticks // instruments)))


def write_csv(found: Iterable[TickBlock], path: Path, of: Market) -> None:
    with new_places() as places:
        file = csv_folder(places, path, symbols=of.symbols, factor_names=of.factors.names, grain_ns=of.clock.grain_ns)
        write_blocks(found, [file], what="writing", total=0)


def write_with_pandas(found: Iterable[TickBlock], path: Path, of: Market) -> None:
    path.mkdir()
    for number, block in enumerate(found):
        times = np.char.add(np.datetime_as_string(block.time.view("M8[ns]"), unit="s"), "Z")
        for column, symbol in enumerate(of.symbols):
            frame = pd.DataFrame(
                {"timestamp": times, "price": block.prices[:, column], "variance": block.variances[:, column]}
            )
            frame.to_csv(path / f"{symbol}.csv", mode="a", header=number == 0, index=False)


def write_parquet(found: Iterable[TickBlock], path: Path, of: Market) -> None:
    with new_places() as places:
        file = parquet_file(places, path, symbols=of.symbols, grain_ns=of.clock.grain_ns)
        write_blocks(found, [file], what="writing", total=0)


def write_with_pyarrow(found: Iterable[TickBlock], path: Path, of: Market) -> None:
    names, writer = pa.array(of.symbols), None
    for block in found:
        steps, count = block.prices.shape
        table = pa.table(
            {
                "time": pa.array(block.time.repeat(count)).cast(pa.timestamp("ns", tz="UTC")),
                "symbol": pa.DictionaryArray.from_arrays(np.tile(np.arange(count, dtype=np.int32), steps), names),
                "sequence": np.arange(block.first_step, block.first_step + steps).repeat(count),
                "price": block.prices.ravel(),
                "variance": block.variances.ravel(),
            }
        )
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


WAYS = {
    "csv, pseudofeed": (write_csv, "csv"),
    "csv, pandas": (write_with_pandas, "to_csv"),
    "parquet, pseudofeed": (write_parquet, "parquet"),
    "parquet, pyarrow": (write_with_pyarrow, "parquet"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("instruments", [100, 2_000, 10_000])
def test_write(benchmark: BenchmarkFixture, tmp_path: Path, way: str, instruments: int) -> None:
    write, size = WAYS[way]
    given = blocks(instruments, TICKS[size])
    path = tmp_path / "out"

    def clear() -> None:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)

    benchmark.group = f"{way.split(',')[0]}, {instruments} instruments"
    benchmark.extra_info["ticks"] = ticks = sum(block.prices.size for block in given)
    benchmark.pedantic(write, (given, path, market(instruments)), setup=clear, rounds=3)
    assert benchmark.stats is not None
    benchmark.extra_info["ticks_per_second"] = round(ticks / benchmark.stats.stats.min)


def test_simulate_into_all_files(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """One walk, CSV and Parquet: the time is that of the command, less its start."""
    benchmark.group = "simulate --csv --parquet, 100 instruments"
    benchmark.pedantic(
        export_market,
        (market(100), 40_000),
        {"csv": tmp_path / "out" / "csv", "parquet": tmp_path / "out" / "ticks.parquet"},
        setup=lambda: shutil.rmtree(tmp_path / "out", ignore_errors=True),
        rounds=3,
    )
