"""The index of a table of records, (instrument_id, time) of `tick`, made chunk by chunk.

Kept up, it takes three quarters of a COPY's time; made behind the rows, a third of what that costs. So a chunk that
fills up in bulk gets its index when it is complete, or when the bulk is over; any other chunk has it from its beginning
on, empty. The table itself has none, since each of its chunks would have it at once. Who wants it kept up at any rate
makes it there (CREATE INDEX ON tick (instrument_id, time)): then no chunk lacks one, and nothing is done here.

4 million ticks of 100 instruments in batches of 200,000 over two connections, thousand rows/s, three rounds: index
kept up 337, 399, 381; made behind the rows, its making included, 541, 777, 522 (PostgreSQL 17, TimescaleDB 2.19, two
cores with other work on them).

Ascending: a batch comes sorted by (instrument_id, time), and PostgreSQL fills index pages that grow upwards to the
brim. With time DESC they stay half empty. 1.2 million rows in batches of 200,000: 68 MB and 138,000 rows/s descending,
38 MB and 186,000 rows/s ascending. Newest-first reads scan it backwards.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
from psycopg import sql

from pseudofeed.encode import partitions_of
from pseudofeed.records import Kind
from pseudofeed.settings import Connections
from pseudofeed.store.chunk_list import Chunk, stored_chunks
from pseudofeed.store.connection import WriterConnection, open_connection, store_error
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier
from pseudofeed.times import to_datetime

__all__ = ["ChunkIndexer", "make_index", "unindexed_chunks"]

_log = logging.getLogger("pseudofeed.store")

# Rows come in bulk where so many come in a second, on one connection (to keep the index up costs an eighth of a core
# there), or where a connection does not keep up: a batch had to wait for the one before. Few rows are not worth it.
BULK_RATE = 50_000
LEAST_ROWS = 10_000
# The index is made when for so long nothing came in bulk.
QUIET_SECONDS = 1.0
LOOK_SECONDS = 1.0
CANCEL_SECONDS = 1.0
# Who waits for a chunk keeps all behind it waiting.
PATIENCE = "2s"

_INDEX_LOCK = 1_835_291_764  # with a hash of the chunk's name an advisory lock; its number has no meaning

_UNINDEXED = """
    SELECT name FROM unnest(%s::text[]) AS name
    WHERE to_regclass(name) IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = %s
        JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[1] AND b.attname = 'time'
        WHERE i.indrelid = to_regclass(name) AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL)"""


def unindexed_chunks(connection: psycopg.Connection, tier: Tier, kind: Kind) -> list[Chunk]:
    """Those of a kind's table, by time; compressed chunks need none."""
    assert kind.table is not None
    chunks = [chunk for chunk in stored_chunks(connection, tier, kind.table.name) if not chunk.compressed]
    names = {name for (name,) in connection.execute(_UNINDEXED, ([chunk.name for chunk in chunks], kind.key_column))}
    return [chunk for chunk in chunks if chunk.name in names]


def make_index(connection: psycopg.Connection, chunk: Chunk, kind: Kind, *, helpers: int = 0) -> bool:
    """Make the chunk's index, in a transaction; False where it must wait: somebody is making it, or writing there, or
    the chunk is gone. Writers wait meanwhile. helpers: processes that the server may take besides. Raises
    psycopg.Error."""
    try:
        with connection.transaction():
            connection.execute(
                """SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true),
                          set_config('max_parallel_maintenance_workers', %s, true)""",
                (PATIENCE, str(helpers)),
            )
            free = connection.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (_INDEX_LOCK, chunk.name))
            if free.fetchone() != (True,):
                return False
            # Named by the server. The name is the catalogue's own text, quoted where it must be.
            key = sql.Identifier(kind.key_column)
            connection.execute(sql.SQL("CREATE INDEX ON {} ({}, time)").format(sql.SQL(chunk.name), key))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
        return False
    return True


class ChunkIndexer:
    """Makes what was put off, on a connection and in a thread of its own, beside those of one worker that write.

    They tell it of what they write (`begin`, `end`), from any thread. batch_seconds: how old a batch is that did not
    have to wait. The thread begins at once, with what earlier workers have left.
    """

    def __init__(
        self, connections: Connections, market: StoredMarket, tier: Tier, kind: Kind, *, batch_seconds: float
    ) -> None:
        self._connections, self._market, self._tier, self._kind = connections, market, tier, kind
        self._application = f"pseudofeed index {market.record.name}"
        self._late_seconds = 2 * batch_seconds + 0.1
        partition_of = partitions_of(kind, market.record.market, market.record.partitions)
        self._partitions = np.unique(partition_of).tolist()
        self._connection = WriterConnection(connections, self._application)
        self._in_bulk: set[object] = set()  # who is writing a batch that came so
        self._quiet_since = float("-inf")
        self._may_lack = True
        self._made_last = False
        self._finishing, self._closing = threading.Event(), threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pseudofeed-chunk-index")
        self._thread.start()

    def begin(self, writer: object, rows: int, seconds: float) -> bool:
        """So many rows have come in so many seconds, and are written now. True if that is in bulk: make the chunks that
        they need without an index then, and `end` it."""
        if rows < LEAST_ROWS or (seconds <= self._late_seconds and rows <= BULK_RATE * max(seconds, 0.1)):
            return False
        self._in_bulk.add(writer)
        self._may_lack = True
        return True

    def end(self, writer: object) -> None:
        """The rows are written, or dropped."""
        if writer in self._in_bulk:
            self._quiet_since = time.monotonic()
            self._in_bulk.discard(writer)

    def finish(self) -> bool:
        """Nobody writes any longer: make all that is missing; True if that was any. For several threads."""
        self._finishing.set()
        self._wake.set()
        self._thread.join()
        return self._made_last

    def close(self) -> None:
        """End, without `finish` in the middle of what is under way."""
        self._closing.set()
        self._wake.set()
        while self._thread.is_alive():
            connection = self._connection.current
            if connection is not None:
                with contextlib.suppress(psycopg.Error):  # of a server that does not answer
                    connection.cancel_safe(timeout=CANCEL_SECONDS)
            self._thread.join(CANCEL_SECONDS)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        told = False
        try:
            while not self._closing.is_set():
                last = self._finishing.is_set()
                try:
                    made = self._may_lack and self._make(last=last)
                    told = False
                    if not self._may_lack:
                        self._connection.close()
                except psycopg.Error as problem:
                    made, self._may_lack = False, True
                    if not told and not self._closing.is_set():
                        told = True
                        meaning = store_error(problem, self._connections)
                        _log.warning(
                            "the index of a chunk must wait: %s. The next worker makes it at the latest", meaning
                        )
                    self._connection.close()
                if last:
                    self._made_last = made
                    return
                self._wake.wait(LOOK_SECONDS)
                self._wake.clear()
        finally:
            self._connection.close()

    def _make(self, *, last: bool) -> bool:
        """Make what is due: of complete chunks while rows come in bulk, else of all; True if one was made."""
        self._may_lack = False  # what is begun from now on sets it again
        connection = self._connection.opened()
        chunks = unindexed_chunks(connection, self._tier, self._kind)
        # Only now: a bulk that begins after this question has made none of these chunks.
        over = not self._in_bulk and time.monotonic() - self._quiet_since > QUIET_SECONDS
        every = last or over
        end = None if every or not chunks else self._complete_before(connection)
        due = [chunk for chunk in chunks if every or (end is not None and chunk.end <= end)]
        # While others write, by one process: they have the cores. At the end two connections' cores are idle. A million
        # rows on two of them, s, three rounds: 0.79, 0.98, 0.92 by one process, 0.74, 0.67, 0.69 with a helper, 0.64,
        # 0.74, 0.72 with two.
        if last and len(due) > 1:
            with ThreadPoolExecutor(2, thread_name_prefix="pseudofeed-chunk-index") as pool:
                made = sum(pool.map(self._make_apart, (due[0::2], due[1::2])))
        else:
            made = sum(make_index(connection, chunk, self._kind, helpers=int(last)) for chunk in due)
        if not every or made < len(due):
            self._may_lack = True
        return made > 0

    def _make_apart(self, chunks: Sequence[Chunk]) -> int:
        with open_connection(self._connections, application=self._application, writer=True) as connection:
            return sum(make_index(connection, chunk, self._kind) for chunk in chunks)

    def _complete_before(self, connection: psycopg.Connection) -> datetime.datetime | None:
        """Where the slowest partition is; None where one has not begun."""
        row = connection.execute(
            """SELECT count(last_sequence), min(last_sequence) FROM sink_offset
               WHERE market_id = %s AND kind = %s AND partition = ANY (%s)""",
            (self._market.market_id, self._kind.name, self._partitions),
        ).fetchone()
        assert row is not None
        begun, step = row
        if begun < len(self._partitions) or step < 1:
            return None
        return to_datetime(int(self._market.record.market.clock.times(step, 1)[0]))
