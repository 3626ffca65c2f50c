"""Other people's readers open the files with the right types, without being told anything; Spark's rules are checked
from the metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from pseudofeed.market import Market
from pseudofeed.records import TICK
from pseudofeed.records.arrow import arrow_schema
from pseudofeed.simulate.export import export_market
from pseudofeed.simulate.files import parquet as parquet_module
from pseudofeed.simulate.files.place import new_places
from pseudofeed.simulate.files.walk import write_blocks
from pseudofeed.simulate.paths import Paths

MARKET = """
market = {{ name = "x", seed = 1 }}
clock = {{ start = 2026-03-02T14:30:00Z, step = "{step}" }}
factors = {{ names = ["f", "g"], volatilities = [0.1, 0.2] }}
instruments = {{ count = 7 }}
"""
STEPS = 656
# A step, and the unit of time that it needs in Arrow.
UNITS = {"1s": "us", "500ms": "us", "250us": "us", "100ns": "ns"}


@pytest.fixture(scope="module", params=UNITS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def paths(step: str) -> Paths:
    return Market.loads(MARKET.format(step=step)).simulate(STEPS)


@pytest.fixture(scope="module")
def files(step: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """csv/ and ticks.parquet of these paths, from the stream."""
    folder = tmp_path_factory.mktemp("files")
    market = Market.loads(MARKET.format(step=step))
    export_market(market, STEPS, csv=folder / "csv", parquet=folder / "ticks.parquet")
    return folder


def same(column: Any, expected: Any) -> bool:
    """Bit for bit; times as ns."""
    array = np.asarray(column)
    if array.dtype.kind == "M":
        array = array.astype("M8[ns]").view(np.int64)
    return array.dtype == np.asarray(expected).dtype and array.tobytes() == np.ascontiguousarray(expected).tobytes()


def query(text: str) -> duckdb.DuckDBPyRelation:
    found = duckdb.sql(text)
    assert found is not None
    return found


def test_all_rows_of_a_csv_file_have_one_form_of_time(files: Path, step: str) -> None:
    for file in ("ALFA.csv", "factors.csv"):
        times = [line.split(",")[0] for line in (files / "csv" / file).read_text().splitlines()[1:]]
        assert len(times) == STEPS
        assert {len(text) for text in times} == {{"1s": 20, "500ms": 24, "250us": 27, "100ns": 30}[step]}
    if step == "500ms":
        assert times[-2:] == ["2026-03-02T14:35:27.500Z", "2026-03-02T14:35:28.000Z"]


def test_pandas_reads_the_csv(files: Path, paths: Paths) -> None:
    frame = pd.read_csv(files / "csv" / "ALFA.csv", parse_dates=["timestamp"])
    assert str(frame["timestamp"].dtype.tz) == "UTC"  # type: ignore[union-attr]
    assert same(frame["timestamp"].dt.tz_localize(None), paths.time[1:])
    # Some versions' parser of doubles is one unit in the last place off, now and then.
    assert frame["price"].dtype == frame["variance"].dtype == np.float64
    assert np.allclose(frame["price"], paths.prices[1:, 0], rtol=1e-15, atol=0)
    assert np.allclose(frame["variance"], paths.variances[1:, 0], rtol=1e-15, atol=0)


def test_polars_reads_the_csv(files: Path, paths: Paths) -> None:
    frame = polars.read_csv(files / "csv" / "ALFA.csv", try_parse_dates=True)
    assert isinstance(frame.schema["timestamp"], polars.Datetime)
    assert frame.schema["timestamp"].time_zone == "UTC"
    assert [str(frame.schema[name]) for name in ("price", "variance")] == ["Float64", "Float64"]
    assert np.allclose(frame["price"].to_numpy(), paths.prices[1:, 0], rtol=1e-15, atol=0)


def test_duckdb_reads_the_csv(files: Path, paths: Paths) -> None:
    ticks = duckdb.read_csv(str(files / "csv" / "ALFA.csv"))
    assert [str(kind) for kind in ticks.types[1:]] == ["DOUBLE", "DOUBLE"]
    assert str(ticks.types[0]).startswith("TIMESTAMP")
    assert same(ticks.fetchnumpy()["price"], paths.prices[1:, 0])
    # The factors' columns have names of their own, so the rest of the folder is one table.
    assert query(f"SELECT count(*) FROM '{files}/csv/[A-Z]*.csv'").fetchall() == [(7 * STEPS,)]


def test_arrow_reads_the_csv(files: Path, paths: Paths) -> None:
    table = arrow_csv.read_csv(files / "csv" / "ALFA.csv")
    assert pa.types.is_timestamp(table.schema.field("timestamp").type)
    assert table.schema.field("timestamp").type.tz == "UTC"
    assert same(table["timestamp"].to_numpy(), paths.time[1:])
    assert same(table["price"].to_numpy(), paths.prices[1:, 0])
    factors = arrow_csv.read_csv(files / "csv" / "factors.csv")
    assert factors.column_names == ["timestamp", "f_increment", "f_level", "g_increment", "g_level"]
    assert same(factors["g_increment"].to_numpy(), paths.factor_increments[:, 1])
    assert same(factors["g_level"].to_numpy(), paths.factor_levels[1:, 1])


def test_numbers_that_are_whole_at_first_are_doubles_to_all(tmp_path: Path) -> None:
    """A reader that guesses types from the first rows must not guess integers."""
    market = Market.loads(MARKET.format(step="1s"))
    paths = market.simulate(30_000)
    paths.prices[:25_000], paths.variances[:25_000] = 100.0, 0.0
    paths.to_csv(tmp_path / "csv")
    file = tmp_path / "csv" / "ALFA.csv"
    for prices in (
        pd.read_csv(file)["price"],
        polars.read_csv(file)["price"].to_numpy(),
        duckdb.read_csv(str(file)).fetchnumpy()["price"],
        arrow_csv.read_csv(file)["price"].to_numpy(),
    ):
        assert np.allclose(np.asarray(prices), paths.prices[1:, 0], rtol=1e-15, atol=0)


def test_pandas_polars_and_duckdb_read_the_parquet(files: Path, paths: Paths, step: str) -> None:
    file, seven = files / "ticks.parquet", len(paths.symbols)
    frame = pd.read_parquet(file)
    assert str(frame["time"].dtype) == f"datetime64[{UNITS[step]}, UTC]"
    assert same(frame["time"].dt.tz_localize(None), paths.time[1:].repeat(seven))
    assert same(frame["sequence"], np.arange(1, STEPS + 1).repeat(seven))
    assert frame["symbol"].tolist() == list(paths.symbols) * STEPS
    assert same(frame["price"], paths.prices[1:])
    assert same(frame["variance"], paths.variances[1:])
    lazy = polars.read_parquet(file)
    assert lazy.schema["time"] == polars.Datetime(UNITS[step], "UTC")  # type: ignore[arg-type]
    assert same(lazy["price"].to_numpy(), paths.prices[1:])
    assert lazy["symbol"].cast(polars.String).to_list() == list(paths.symbols) * STEPS
    found = query(f"SELECT * FROM '{file}' WHERE symbol = 'BRVO' ORDER BY time")
    assert str(found.types[0]).startswith("TIMESTAMP")
    assert [str(kind) for kind in found.types[1:]] == ["VARCHAR", "BIGINT", "DOUBLE", "DOUBLE"]
    assert same(found.fetchnumpy()["price"], paths.prices[1:, 1])


def test_spark_reads_the_parquet_where_the_step_is_microseconds(files: Path, step: str) -> None:
    metadata = parquet.ParquetFile(files / "ticks.parquet").metadata
    time = metadata.schema.column(0)
    unit = {"us": "microseconds", "ns": "nanoseconds"}[UNITS[step]]
    assert (time.name, time.physical_type) == ("time", "INT64")
    assert f"isAdjustedToUTC=true, timeUnit={unit}" in str(time.logical_type)
    for number in range(metadata.num_row_groups):
        columns = [metadata.row_group(number).column(place) for place in range(5)]
        assert [set(column.encodings) - {"RLE"} for column in columns] == [
            {"DELTA_BINARY_PACKED"},
            {"PLAIN", "RLE_DICTIONARY"},  # the dictionary itself is plain
            {"DELTA_BINARY_PACKED"},
            {"BYTE_STREAM_SPLIT"},
            {"BYTE_STREAM_SPLIT"},
        ]
        assert {column.compression for column in columns} == {"SNAPPY"}


def test_the_schema_is_that_of_the_client(files: Path, step: str) -> None:
    market = Market.loads(MARKET.format(step=step))
    assert parquet.read_schema(files / "ticks.parquet").equals(arrow_schema(TICK, market.clock.grain_ns))


def test_row_groups_have_one_size_whatever_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "ROW_GROUP", 100)
    market = Market.loads(MARKET.format(step="1s"))
    tables = []
    for block_steps in (1, 3, 50, 656):
        blocks = market.stream(steps=STEPS, block_steps=block_steps)
        with new_places() as places:
            file = parquet_module.parquet_file(
                places, tmp_path / "ticks.parquet", symbols=market.symbols, grain_ns=market.clock.grain_ns
            )
            write_blocks(blocks, [file], what="writing", total=STEPS * 7)
        metadata = parquet.ParquetFile(tmp_path / "ticks.parquet").metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        assert sizes == [100] * (STEPS * 7 // 100) + [STEPS * 7 % 100]
        tables.append(parquet.read_table(tmp_path / "ticks.parquet"))
    assert all(table.equals(tables[0]) for table in tables[1:])
    assert tables[0]["symbol"].to_pylist() == list(market.symbols) * STEPS
