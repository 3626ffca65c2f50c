"""What retention drops, and how long chunks are."""

from __future__ import annotations

import datetime

import pytest

from pseudofeed.store.chunks import CHUNK_ROWS, LEAST_CHUNK_ROWS, chunk_rows
from pseudofeed.store.upkeep import Extent, retention_end

START = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def extent(begin: int, end: int, retention: int | None = None) -> Extent:
    return Extent(START + begin * DAY, START + end * DAY, None if retention is None else retention * DAY)


def test_a_chunk_goes_when_no_market_needs_it() -> None:
    assert retention_end([]) is None
    assert retention_end([extent(0, 100)]) is None
    assert retention_end([extent(0, 100, 30)]) == START + 70 * DAY
    assert retention_end([extent(0, 100, 30), extent(0, 50, 10)]) == START + 40 * DAY
    # One that keeps all needs what it has, not what came before it.
    assert retention_end([extent(0, 100, 30), extent(60, 61)]) == START + 60 * DAY


@pytest.mark.parametrize(
    ("buffers", "rows"), [(128 * 2**20, 1_342_177), (16 * 2**20, LEAST_CHUNK_ROWS), (64 * 2**30, CHUNK_ROWS)]
)
def test_a_chunk_fits_the_servers_memory(buffers: int, rows: int) -> None:
    assert chunk_rows(buffers) == rows
