"""One connection of a backfill: each batch of rows, and the mark that covers it, in one transaction.

    BEGIN; COPY tick; COPY ...; UPDATE backfill SET done = done + <steps> WHERE NOT done && <steps>; COMMIT

The update must hit the claim's row. If another backfill of the same market, or we ourselves in a COMMIT whose answer
was lost, have written any of these steps, it hits none, and the batch is dropped: so to try again is always right. It
comes last, so that connections wait for each other no longer than a commit takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import psycopg

from pseudofeed.encode import encode_copy_rows
from pseudofeed.errors import ServerError, StoreError
from pseudofeed.records import Columns, Kind, stored_kinds
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.claims import Claim, Held, claim_steps, read_claims
from pseudofeed.store.backfill.rows import ShardRows
from pseudofeed.store.backfill.steps import Ranges
from pseudofeed.store.chunk_index import make_index, unindexed_chunks
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import WriterConnection, is_transient, store_error
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier
from pseudofeed.store.settings import kept_from
from pseudofeed.store.tables import copy_statement
from pseudofeed.times import to_datetime

__all__ = ["OUTAGE_SECONDS", "BackfillWriter", "Committed"]

_T = TypeVar("_T")

_log = logging.getLogger("pseudofeed.store")

# A server that is restarted comes back within it. After a longer outage a backfill ends: it can be started again.
OUTAGE_SECONDS = 60.0
_FIRST_BACK_OFF = 0.1
_LONGEST_BACK_OFF = 2.0
_ATTEMPTS = 10  # with a batch whose chunks are dropped meanwhile


class _Overtaken(Exception):
    """Somebody else has written some of these steps."""


class _Dropped(Exception):
    """Retention has dropped what is as old as this since we looked."""


Committed = Mapping[Kind, int]
"""How many rows of each kind a batch has added."""


class BackfillWriter:
    """Writes batches of claimed steps. going_on: asked while a server is away. Not for several threads at once."""

    def __init__(
        self, connections: Connections, market: StoredMarket, tier: Tier, going_on: Callable[[], bool]
    ) -> None:
        self._connections, self._market, self._going_on = connections, market, going_on
        self._tier = tier
        self._chunks = {kind: Chunks(tier, kind, market) for kind in stored_kinds(market.record.market)}
        self._connection = WriterConnection(connections, f"pseudofeed backfill {market.record.name}")

    def write(self, claim: Claim, rows: ShardRows) -> Committed | None:
        """Commit the rows that the stream had not stored and retention has not dropped, and mark their steps as done;
        None where some of these steps are done already, and nothing was written.

        Waits for a server that is away, OUTAGE_SECONDS at most. Raises ServerError, and StoreError where the market
        was dropped.
        """
        return self._persist(lambda connection: self._write(connection, claim, rows))

    def claim(self, first: int, last: int) -> list[Claim]:
        """See `claim_steps`: a worker in the middle of a batch is waited for. Waits and raises as `write` does."""
        return self._persist(lambda connection: claim_steps(connection, self._market, first, last))

    def left(self, claim: Claim, first: int, last: int) -> Ranges:
        """What nobody has done yet of the claim's steps first to last. Waits and raises as `write` does."""

        def look(connection: psycopg.Connection) -> Ranges:
            claims = read_claims(connection, self._market)
            return next((found.left(first, last) for found in claims if found.first == claim.first), [])

        return self._persist(look)

    def index(self, begin_ns: int, end_ns: int, *, whole: bool) -> bool:
        """Make the index of each chunk that lacks it and lies in begin <= time < end, `whole` or in part; True if one
        was made. Waits and raises as `write` does."""
        begin, end = to_datetime(begin_ns), to_datetime(end_ns)

        def make(connection: psycopg.Connection) -> bool:
            made = 0
            for kind in self._chunks:
                if kind.table is None or not kind.table.index_by_chunk:
                    continue
                for chunk in unindexed_chunks(connection, self._tier, kind):
                    inside = begin <= chunk.begin and chunk.end <= end
                    if inside if whole else begin < chunk.end and chunk.begin < end:
                        made += make_index(connection, chunk, kind)
            return made > 0

        return self._persist(make)

    def close(self) -> None:
        self._connection.close()

    def _write(self, connection: psycopg.Connection, claim: Claim, rows: ShardRows) -> Committed | None:
        for attempt in range(_ATTEMPTS):
            kept_ns = kept_from(connection, self._market)
            parts = {kind: _wanted(columns, claim.held[kind], kept_ns) for kind, columns in rows.rows.items()}
            for kind, columns in parts.items():
                self._chunks[kind].make(connection, columns.time, indexed=False)
            try:
                with connection.transaction():
                    for columns in parts.values():
                        self._copy(connection, columns)
                    self._mark(connection, claim, rows, kept_ns)
            except _Overtaken:
                return None
            except (_Dropped, psycopg.errors.CheckViolation) as problem:
                # The second: a plain partition is gone since we looked.
                if attempt == _ATTEMPTS - 1 and isinstance(problem, psycopg.Error):
                    raise
                for chunks in self._chunks.values():
                    chunks.forget()
                continue
            return {kind: len(columns) for kind, columns in parts.items()}
        raise StoreError("retention drops ticks as fast as they are backfilled: start the backfill again later")

    def _copy(self, connection: psycopg.Connection, columns: Columns) -> None:
        if len(columns):
            with connection.cursor().copy(copy_statement(columns.kind)) as copy:
                copy.write(memoryview(encode_copy_rows(columns, self._market.ids_of(columns.kind))))

    def _mark(self, connection: psycopg.Connection, claim: Claim, rows: ShardRows, kept_ns: int | None) -> None:
        key = (self._market.market_id, claim.first)
        marked = connection.execute(
            """UPDATE backfill SET done = done + int8multirange(int8range(%s, %s, '[]')), updated_at = now()
               WHERE market_id = %s AND first_step = %s AND NOT done && int8range(%s, %s, '[]')""",
            (rows.first, rows.last, *key, rows.first, rows.last),
        )
        if marked.rowcount != 1:
            known = connection.execute("SELECT 1 FROM backfill WHERE market_id = %s AND first_step = %s", key)
            if known.fetchone() is not None:
                raise _Overtaken
            raise StoreError(
                f"market {self._market.record.name} was dropped from the store while it was backfilled; nothing of it "
                f"is left there. Run the backfill again to start from the beginning"
            )
        if kept_from(connection, self._market) != kept_ns:
            raise _Dropped

    def _persist(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        back_off, since = _FIRST_BACK_OFF, time.monotonic()
        while True:
            try:
                return work(self._connection.opened())
            except psycopg.Error as problem:
                meaning = store_error(problem, self._connections)
                if not is_transient(problem, self._connection.current):
                    raise meaning from None
                self.close()
                if back_off == _FIRST_BACK_OFF:
                    since = time.monotonic()
                    _log.warning("%s. Retrying; nothing is lost meanwhile", meaning)
                if time.monotonic() - since > OUTAGE_SECONDS or not self._going_on():
                    raise ServerError(
                        f"{meaning}. Committed batches are kept: run the backfill again to continue"
                    ) from None
                time.sleep(back_off)
                back_off = min(back_off * 2, _LONGEST_BACK_OFF)


def _wanted(columns: Columns, held: Held, kept_ns: int | None) -> Columns:
    """Without what the stream had stored and what is too old to be kept."""
    if held.any and len(columns):
        columns = columns.where(held.lacks(columns))
    return columns if kept_ns is None else columns.where(columns.time >= kept_ns)
