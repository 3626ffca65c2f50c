"""The index (instrument_id, time) of the table `tick`, made chunk by chunk.

Kept up, it takes three quarters of a COPY's time; made behind the rows, a third of what that costs. So a chunk that
fills up in bulk gets its index when it is complete, or when no more rows come so fast; any other chunk has it from its
beginning on, empty. The table itself has none, since each of its chunks would have it at once. Who wants it kept up at
any rate makes it there (CREATE INDEX ON tick (instrument_id, time)): then no chunk lacks one, and nothing is done here.

4 million ticks of 100 instruments in batches of 200,000 over two connections, thousand rows/s, three rounds: index
kept up 337, 399, 381; made behind the rows, its making included, 541, 777, 522 (PostgreSQL 17, TimescaleDB 2.19, two
cores with other work on them).

Ascending: a batch comes sorted by (instrument_id, time), and PostgreSQL fills index pages that grow upwards to the
brim. With time DESC they stay half empty. 1.2 million rows in batches of 200,000: 68 MB and 138,000 rows/s descending,
38 MB and 186,000 rows/s ascending. Newest-first reads scan it backwards.
"""

from __future__ import annotations

import datetime
import logging
import time
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from pseudofeed.encode import instrument_partitions
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier
from pseudofeed.times import to_datetime

__all__ = ["BulkLoad", "ChunkIndexes", "UnindexedChunk", "make_index", "unindexed_chunks"]

_log = logging.getLogger("pseudofeed.store")

# Rows/s of one connection from which on they come in bulk. At that rate the index takes a quarter of a core.
BULK_RATE = 100_000
# Rows are counted over this time at least: a batch that was waiting says nothing about a rate.
LEAST_SECONDS = 0.5
# The index is made when for so long nothing came in bulk.
QUIET_SECONDS = 1.0
# Rows that are waited for when a chunk is locked, keep all behind them waiting: not for long.
PATIENCE = "2s"

_INDEX_LOCK = 1_835_291_764  # with a hash of the chunk's name an advisory lock; its number has no meaning

_CHUNKS = {
    True: """SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS chunk, range_start, range_end
             FROM timescaledb_information.chunks
             WHERE hypertable_schema = current_schema() AND hypertable_name = 'tick' AND NOT is_compressed""",
    False: """SELECT to_regclass(quote_ident(name)) AS chunk, range_start, range_end FROM tick_partition""",
}
_UNINDEXED = """
    SELECT chunk::text, range_start, range_end FROM ({chunks}) known
    WHERE chunk IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'instrument_id'
        JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[1] AND b.attname = 'time'
        WHERE i.indrelid = known.chunk AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL)
    ORDER BY range_start"""


class UnindexedChunk(NamedTuple):
    """name: of its table, as SQL has it. begin <= time < end."""

    name: str
    begin: datetime.datetime
    end: datetime.datetime


def unindexed_chunks(connection: psycopg.Connection, tier: Tier) -> list[UnindexedChunk]:
    """By time; compressed chunks need none."""
    query = _UNINDEXED.format(chunks=_CHUNKS[tier.has_hypertables])
    return [UnindexedChunk(*row) for row in connection.execute(query.encode())]


def make_index(connection: psycopg.Connection, chunk: UnindexedChunk) -> bool:
    """Make the chunk's index, in a transaction; False where it must wait: somebody is making it, or writing there, or
    the chunk is gone. Writers wait meanwhile. Raises psycopg.Error."""
    try:
        with connection.transaction():
            connection.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)", (PATIENCE,)
            )
            free = connection.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (_INDEX_LOCK, chunk.name))
            if free.fetchone() != (True,):
                return False
            # Named by the server. The name is the catalogue's own text, quoted where it must be.
            connection.execute(sql.SQL("CREATE INDEX ON {} (instrument_id, time)").format(sql.SQL(chunk.name)))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
        return False
    return True


class BulkLoad:
    """Whether rows come in bulk, as all connections of one worker see it. For several threads."""

    def __init__(self) -> None:
        self._newest = float("-inf")

    def take(self, rows: int, seconds: float) -> bool:
        """So many rows came in so many seconds on one connection: is that bulk?"""
        bulk = rows > BULK_RATE * max(seconds, LEAST_SECONDS)
        if bulk:
            self._newest = time.monotonic()
        return bulk

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._newest > QUIET_SECONDS


class ChunkIndexes:
    """What one connection of a store worker does about them. may_lack: there may be chunks without."""

    def __init__(self, tier: Tier, market: StoredMarket, load: BulkLoad) -> None:
        self._tier, self._market, self._load = tier, market, load
        partition_of = instrument_partitions(market.record.market.symbols, market.record.partitions)
        self._partitions = np.unique(partition_of).tolist()
        self._took_at = float("-inf")
        self.may_lack = True  # an earlier worker may have left some

    def take(self, rows: int) -> bool:
        """Before a batch is written: does it come in bulk? Then a chunk that it needs is made without an index."""
        now = time.monotonic()
        bulk = self._load.take(rows, now - self._took_at if np.isfinite(self._took_at) else 0.0)
        self._took_at = now
        self.may_lack |= bulk
        return bulk

    def make(self, connection: psycopg.Connection, *, last: bool = False) -> bool:
        """Make what is due: of complete chunks while rows come in bulk, else, and if it is the last time, of all; True
        if one was made. Outside of a transaction; call it while `may_lack`. Raises psycopg.Error."""
        every = last or self._load.is_over
        chunks = unindexed_chunks(connection, self._tier)
        end = None if every or not chunks else self._complete_before(connection)
        due = [chunk for chunk in chunks if every or (end is not None and chunk.end <= end)]
        made = [make_index(connection, chunk) for chunk in due]
        self.may_lack = not every or not all(made)
        return any(made)

    def _complete_before(self, connection: psycopg.Connection) -> datetime.datetime | None:
        """Where the slowest partition is; None where one has not begun."""
        row = connection.execute(
            """SELECT count(last_sequence), min(last_sequence) FROM sink_offset
               WHERE market_id = %s AND stream = 'ticks' AND partition = ANY (%s)""",
            (self._market.market_id, self._partitions),
        ).fetchone()
        assert row is not None
        begun, step = row
        if begun < len(self._partitions) or step < 1:
            return None
        time_ns = int(self._market.record.market.clock.times(step, 1)[0])
        return to_datetime(time_ns)
