"""Creates the chunks of the tables of records, ahead of the rows, with a length that fits the market.

The rule: the longest rung of LADDER_SECONDS on which a market has at most CHUNK_ROWS ticks, and at least the first
rung. The limit is lower if a chunk with its index would not fit the server's shared_buffers (TimescaleDB recommends a
quarter of the memory, which is the usual setting of shared_buffers). So a chunk has roughly one to eight
million rows (about 100 bytes a row with its index entry: 100 to 800 MB) whatever the step: 1 s steps of 100 instruments
give chunks of 6 hours, 1 day steps 1,000 days, 1 us steps of 100 instruments 10 ms. Rungs divide each other and chunks
start at multiples of their length since 1970, so those of different markets nest. If a market meets chunks of
another one, it uses them and fills the gaps between them. A market's own length can be set (settings.py).

TimescaleDB has one interval for the whole hypertable. In one transaction under a lock, the interval is set, and a row
is inserted, which creates the chunk, and deleted. So markets with different rules do not get each other's intervals.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from pseudofeed.records import Kind
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunk_list import stored_chunks
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier, lock_schema
from pseudofeed.times import to_datetime

__all__ = ["Chunks", "chunk_length_us", "chunk_rows"]

CHUNK_ROWS = 8_000_000
LEAST_CHUNK_ROWS = 1_000_000  # more chunks than that cost more, in planning and in files, than a small cache
ROW_BYTES = 100
LADDER_SECONDS = (
    0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 21_600, 86_400, 864_000, 8_640_000, 86_400_000,
)  # fmt: skip


def chunk_rows(shared_buffers: int) -> int:
    """The most rows of a chunk, for a server with so many bytes of shared_buffers."""
    return min(CHUNK_ROWS, max(LEAST_CHUNK_ROWS, shared_buffers // ROW_BYTES))


def chunk_length_us(instruments: int, step_ns: int, rows: int = CHUNK_ROWS) -> int:
    """The length of a chunk in microseconds for a market of so many instruments with one tick each a step."""
    rungs = [round(seconds * 1_000_000) for seconds in LADDER_SECONDS]
    fitting = [rung for rung in rungs if rung * 1_000 * instruments <= rows * step_ns]
    return fitting[-1] if fitting else rungs[0]


class Chunks:
    """The chunks of a table that one worker knows to exist."""

    def __init__(self, tier: Tier, kind: Kind, market: StoredMarket) -> None:
        assert kind.table is not None
        self._tier, self._kind, self._table, self._market = tier, kind, kind.table, market
        self._length_us = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def forget(self) -> None:
        """Chunks may have been dropped: read the list again before the next batch."""
        self._starts, self._ends = [], []

    def make(self, connection: psycopg.Connection, time_ns: NDArray[np.int64], *, indexed: bool = True) -> None:
        """Ensure that each of these times has a chunk. Must be called outside a transaction; commits its own.

        indexed: new chunks of a table without an index of its own get theirs at once (chunk_index.py).
        """
        if not len(time_ns):
            return
        first, last = int(time_ns.min()) // 1_000, int(time_ns.max()) // 1_000
        if self._has(first) and self._has(last) and self._chunk_of(first) == self._chunk_of(last):
            return
        times = np.unique(time_ns // 1_000)
        missing = self._first_missing(times)
        while missing is not None:
            with connection.transaction():
                lock_schema(connection)
                self._read(connection)
                missing = self._first_missing(times)
                self._length_us = self._length_us or self._choose_length(connection)
                if missing is not None:
                    self._make_one(connection, missing)
                    self._read(connection)
                    if indexed and self._table.index_by_chunk:
                        self._index_at(connection, missing)
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

    def _choose_length(self, connection: psycopg.Connection) -> int:
        """In microseconds: the market's setting, or computed from its rate and the server's memory."""
        row = connection.execute(
            """SELECT (extract(epoch FROM chunk_length) * 1000000)::int8,
                      (SELECT setting::int8 * 8192 FROM pg_settings WHERE name = 'shared_buffers')
               FROM market WHERE market_id = %s""",
            (self._market.market_id,),
        ).fetchone()
        assert row is not None
        chosen, buffers = row
        if chosen is not None:
            return int(chosen)
        clock = self._market.record.market.clock
        return chunk_length_us(len(self._market.ids_of(self._kind)), clock.step_ns, chunk_rows(buffers))

    def _read(self, connection: psycopg.Connection) -> None:
        chunks = stored_chunks(connection, self._tier, self._table.name)
        self._starts = [_microseconds(chunk.begin) for chunk in chunks]
        self._ends = [_microseconds(chunk.end) for chunk in chunks]

    def _make_one(self, connection: psycopg.Connection, time_us: int) -> None:
        table, key = sql.Identifier(self._table.name), sql.Identifier(self._kind.key_column)
        if self._tier.has_hypertables:
            length = datetime.timedelta(microseconds=self._length_us)
            at = to_datetime(time_us * 1_000)
            connection.execute("SELECT set_chunk_time_interval(%s::regclass, %s)", (self._table.name, length))
            zeros = sql.SQL(", ").join([sql.SQL("'0'")] * (len(self._kind.row_columns) - 1))
            insert = sql.SQL("INSERT INTO {} VALUES (%s, {}) RETURNING tableoid::regclass::text").format(table, zeros)
            made = connection.execute(insert, (at,)).fetchone()
            assert made is not None
            # From the chunk itself: on the hypertable, DELETE would wait for a session that indexes another chunk.
            chunk = sql.SQL(made[0])
            connection.execute(sql.SQL("DELETE FROM {} WHERE time = %s AND {} = 0").format(chunk, key), (at,))
            return
        start, end = self._free_around(time_us)
        name = f"{self._table.name}_" + to_datetime(start * 1_000).strftime("%Y%m%d_%H%M%S_%f").removesuffix("_000000")
        bounds = (to_datetime(start * 1_000), to_datetime(end * 1_000))
        # Created separately and attached: unlike CREATE TABLE ... PARTITION OF, that blocks no readers and writers.
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS)").format(sql.Identifier(name), table))
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                table, sql.Identifier(name), *map(sql.Literal, bounds)
            )
        )
        register = sql.SQL("INSERT INTO {} (name, range_start, range_end) VALUES (%s, %s, %s)")
        connection.execute(register.format(sql.Identifier(f"{self._table.name}_partition")), (name, *bounds))

    def _index_at(self, connection: psycopg.Connection, time_us: int) -> None:
        at = to_datetime(time_us * 1_000)
        for chunk in unindexed_chunks(connection, self._tier, self._kind):
            if chunk.begin <= at < chunk.end:
                make_index(connection, chunk, self._kind)

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
    return (moment - to_datetime(0)) // datetime.timedelta(microseconds=1)
