"""Chunks of the table `tick`, made ahead of the ticks with a length that fits the market.

The rule: the longest rung of LADDER_SECONDS on which a market has at most CHUNK_ROWS ticks, and at least the first
rung. So a chunk has roughly one to eight million rows (about 100 bytes a row with its index entry: 100 to 800 MB)
whatever the step: 1 s steps of 100 instruments give chunks of 6 hours, 1 day steps 1,000 days, 1 us steps of 100
instruments 10 ms. Rungs divide each other and chunks start at multiples of their length since 1970, so those of
different markets nest; where a market meets chunks that another has made, it uses them and fills what is left between.

TimescaleDB has one interval for the whole hypertable. It is set, and the chunk made by a row that is deleted again, in
one transaction under a lock, so two markets with different rules don't get each other's.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from pseudofeed.store.schema import SCHEMA_LOCK, Tier

__all__ = ["Chunks", "chunk_length_us"]

CHUNK_ROWS = 8_000_000
LADDER_SECONDS = (
    0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 21_600, 86_400, 864_000, 8_640_000, 86_400_000,
)  # fmt: skip
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def chunk_length_us(instruments: int, step_ns: int) -> int:
    """The length of a chunk in microseconds for a market of so many instruments with one tick each a step."""
    rungs = [round(seconds * 1_000_000) for seconds in LADDER_SECONDS]
    fitting = [rung for rung in rungs if rung * 1_000 * instruments <= CHUNK_ROWS * step_ns]
    return fitting[-1] if fitting else rungs[0]


class Chunks:
    """The chunks that one worker knows to be there."""

    def __init__(self, tier: Tier, length_us: int) -> None:
        self._tier = tier
        self._length_us = length_us
        self._starts: list[int] = []
        self._ends: list[int] = []

    def forget(self) -> None:
        """Somebody may have dropped chunks: look again before the next batch."""
        self._starts, self._ends = [], []

    def make(self, connection: psycopg.Connection, time_ns: NDArray[np.int64]) -> None:
        """See to it that each of these times has a chunk. Must be called outside a transaction; commits its own."""
        if not len(time_ns):
            return
        first, last = int(time_ns.min()) // 1_000, int(time_ns.max()) // 1_000
        if self._has(first) and self._chunk_of(first) == self._chunk_of(last):
            return
        times = np.unique(time_ns // 1_000)
        missing = self._first_missing(times)
        while missing is not None:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                self._read(connection)
                missing = self._first_missing(times)
                if missing is not None:
                    self._make_one(connection, missing)
                    self._read(connection)
            missing = self._first_missing(times)

    def _chunk_of(self, time_us: int) -> int:
        return bisect_right(self._starts, time_us) - 1

    def _has(self, time_us: int) -> bool:
        at = self._chunk_of(time_us)
        return at >= 0 and time_us < self._ends[at]

    def _first_missing(self, times_us: NDArray[np.int64]) -> int | None:
        if not self._starts:
            return int(times_us[0])
        at = np.searchsorted(np.array(self._starts), times_us, side="right") - 1
        missing = (at < 0) | (times_us >= np.array(self._ends)[at])
        return int(times_us[missing.argmax()]) if missing.any() else None

    def _read(self, connection: psycopg.Connection) -> None:
        if self._tier is Tier.TIMESCALEDB:
            query = """SELECT range_start, range_end FROM timescaledb_information.chunks
                       WHERE hypertable_schema = current_schema() AND hypertable_name = 'tick' ORDER BY range_start"""
        else:
            query = "SELECT range_start, range_end FROM tick_partition ORDER BY range_start"
        rows = connection.execute(query.encode()).fetchall()
        self._starts = [_microseconds(start) for start, _ in rows]
        self._ends = [_microseconds(end) for _, end in rows]

    def _make_one(self, connection: psycopg.Connection, time_us: int) -> None:
        if self._tier is Tier.TIMESCALEDB:
            length = datetime.timedelta(microseconds=self._length_us)
            at = _moment(time_us)
            connection.execute("SELECT set_chunk_time_interval('tick', %s)", (length,))
            connection.execute("INSERT INTO tick (time, instrument_id, price, variance) VALUES (%s, 0, 0, 0)", (at,))
            connection.execute("DELETE FROM tick WHERE time = %s AND instrument_id = 0", (at,))
            return
        start, end = self._free_around(time_us)
        name = "tick_" + _moment(start).strftime("%Y%m%d_%H%M%S_%f").removesuffix("_000000")
        bounds = (_moment(start), _moment(end))
        # Made apart and attached: unlike CREATE TABLE ... PARTITION OF, that does not keep readers and writers waiting.
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE tick INCLUDING DEFAULTS)").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("ALTER TABLE tick ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(name), *map(sql.Literal, bounds)
            )
        )
        connection.execute(
            "INSERT INTO tick_partition (name, range_start, range_end) VALUES (%s, %s, %s)", (name, *bounds)
        )

    def _free_around(self, time_us: int) -> tuple[int, int]:
        """The chunk of our length that holds the time, cut where other chunks begin and end."""
        start = time_us // self._length_us * self._length_us
        end = start + self._length_us
        before = self._chunk_of(time_us)
        if before >= 0:
            start = max(start, self._ends[before])
        if before + 1 < len(self._starts):
            end = min(end, self._starts[before + 1])
        return start, end


def _microseconds(moment: datetime.datetime) -> int:
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


def _moment(time_us: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=time_us)
