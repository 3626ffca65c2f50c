"""What is dropped and compressed, and the SQL that TimescaleDB's Community edition would get."""

from __future__ import annotations

import datetime
from typing import Any, cast

import psycopg
import pytest

from pseudofeed.store.chunks import CHUNK_ROWS, LEAST_CHUNK_ROWS, chunk_rows
from pseudofeed.store.schema import schema_files
from pseudofeed.store.upkeep import Extent, _compress, compression_end, retention_end

START = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def extent(begin: int, end: int, retention: int | None = None, compress_after: int | None = None) -> Extent:
    days = [None if days is None else days * DAY for days in (retention, compress_after)]
    return Extent(START + begin * DAY, START + end * DAY, *days)


def test_a_chunk_goes_when_no_market_needs_it() -> None:
    assert retention_end([]) is None
    assert retention_end([extent(0, 100)]) is None
    assert retention_end([extent(0, 100, 30)]) == START + 70 * DAY
    assert retention_end([extent(0, 100, 30), extent(0, 50, 10)]) == START + 40 * DAY
    # One that keeps all needs what it has, not what came before it.
    assert retention_end([extent(0, 100, 30), extent(60, 61)]) == START + 60 * DAY


def test_a_chunk_is_compressed_when_it_is_old_and_nobody_writes_there() -> None:
    assert compression_end([extent(0, 100)]) is None
    assert compression_end([extent(0, 100, None, 7)]) == START + 93 * DAY
    assert compression_end([extent(0, 100, None, 7), extent(0, 50)]) == START + 50 * DAY


@pytest.mark.parametrize(
    ("buffers", "rows"), [(128 * 2**20, 1_342_177), (16 * 2**20, LEAST_CHUNK_ROWS), (64 * 2**30, CHUNK_ROWS)]
)
def test_a_chunk_fits_the_servers_memory(buffers: int, rows: int) -> None:
    assert chunk_rows(buffers) == rows


def test_the_community_edition_is_asked_to_refresh_then_compress() -> None:
    """What is old and not compressed yet."""
    chunks = [(f"_hyper_1_{day}_chunk", START + day * DAY, START + (day + 1) * DAY, day == 0) for day in range(3)]
    sent: list[tuple[str, tuple[object, ...]]] = []

    class Recorder:
        def execute(self, query: str, parameters: tuple[object, ...]) -> list[Any]:
            sent.append((query, parameters))
            return chunks

    _compress(cast("psycopg.Connection", Recorder()), START + 2 * DAY)
    assert sent[1:] == [
        ("CALL refresh_continuous_aggregate('bar_minute', %s, %s)", (START + DAY, START + 2 * DAY)),
        ("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", ("_hyper_1_1_chunk",)),
    ]


def test_only_the_community_edition_gets_compression() -> None:
    (file,) = [file for file in schema_files() if file.community]
    assert "timescaledb.compress_segmentby = 'instrument_id'" in file.text
    assert "timescaledb.continuous" in file.text
