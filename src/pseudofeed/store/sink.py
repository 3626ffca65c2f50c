"""Writes records to PostgreSQL, each exactly once.

    BEGIN; UPDATE sink_offset ... AND next_offset = <from>; COPY tick FROM STDIN (FORMAT binary); COMMIT

The update must change one row for each partition of the batch. If another worker has moved one, nothing is written and
the batch is dropped (OffsetConflict). If a connection breaks at any point, also after COMMIT was sent, the rows of
sink_offset tell the next connection whether the batch was stored. This covers server restarts, failovers and lost
answers. Messages that cannot be read go to the table quarantine in the same transaction.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

import psycopg

from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch, position_within
from pseudofeed.encode import encode_copy_rows, partition_count, partitions_of
from pseudofeed.errors import OffsetConflict, ServerError, TopicError
from pseudofeed.records import Columns, Kind
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.claims import CLAIM_LOCK, claimed_steps
from pseudofeed.store.backfill.steps import outside
from pseudofeed.store.chunk_index import ChunkIndexer
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import WriterConnection, is_transient, store_error
from pseudofeed.store.order import order_of
from pseudofeed.store.quarantine import quarantine
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier
from pseudofeed.store.tables import copy_statement
from pseudofeed.store.upkeep import keep_up

__all__ = ["StoreSink"]

_log = logging.getLogger("pseudofeed.store")
_log.addHandler(logging.NullHandler())

FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 5.0
UPKEEP_SECONDS = 60.0


class StoreSink:
    """One connection that stores the partitions it is given; see `pseudofeed.consume.Sink` for its methods.

    indexer: of the worker; without it no index is deferred. keeps_up: drop old chunks (upkeep.py).
    """

    def __init__(
        self,
        connections: Connections,
        market: StoredMarket,
        tier: Tier,
        kind: Kind,
        *,
        indexer: ChunkIndexer | None = None,
        keeps_up: bool = False,
    ) -> None:
        self._tier, self._keeps_up, self._kept_up_at = tier, keeps_up, float("-inf")
        self._connections = connections
        self._market = market
        self._topic = kind.topic_of(market.record.name)
        self._kind, self._ids = kind, market.ids_of(kind)
        self._chunks = Chunks(tier, kind, market)
        self._indexer = indexer
        partitions = market.record.partitions
        self._order = order_of(
            kind, partitions_of(kind, market.record.market, partitions), partition_count(kind, partitions)
        )
        self._connection = WriterConnection(connections, f"pseudofeed store {market.record.name}")
        self._gave_up = threading.Event()
        self._topic_id: str | None = None
        self._told = ""

    # --- pseudofeed.consume.Sink ---------------------------------------------------------------------------------

    def positions(self, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, int]:
        back_off = FIRST_BACK_OFF
        while True:
            try:
                connection = self._connection.opened()
                with connection.transaction():
                    return self._lock_positions(connection, topic, partitions)
            except psycopg.Error as problem:
                back_off = self._wait_or_raise(problem, back_off)

    def write(self, batches: Sequence[Batch]) -> None:
        columns = Columns.concatenate(self._kind, [batch.columns for batch in batches])
        for batch in batches:
            self._check(batch)
        try:
            rows = encode_copy_rows(columns, self._ids)
        except ValueError as problem:  # a time between two microseconds: the market's clock has none such
            raise TopicError(f"topic {self._topic}: {problem}; these ticks are not its market's") from None
        in_bulk = self._indexer is not None and self._indexer.begin(self, len(columns), batches[0].seconds)
        try:
            self._write(batches, columns, rows, indexed=not in_bulk)
        finally:
            if self._indexer is not None:
                self._indexer.end(self)
        for batch in batches:
            self._order.take(batch)
        self._see_to_old_chunks()

    def drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._order.forget(partition)

    def idle(self) -> None:
        self._see_to_old_chunks()

    def finish(self) -> bool:
        return self._indexer is not None and self._indexer.finish()

    def give_up(self) -> None:
        self._gave_up.set()

    def close(self) -> None:
        self._connection.close()

    # --- positions ---------------------------------------------------------------------------------------------------

    def _lock_positions(
        self, connection: psycopg.Connection, topic: TopicInfo, partitions: Sequence[int]
    ) -> Mapping[int, int]:
        """Read the rows under a lock, so that a predecessor's write has ended; create missing rows."""
        numbers = sorted(partitions)
        market_id = self._market.market_id
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (CLAIM_LOCK, market_id))
        connection.execute(
            """INSERT INTO sink_offset (market_id, kind, partition, topic_id, next_offset, last_sequence)
               SELECT %s, %s, p, %s, o, CASE o WHEN 0 THEN 0 END FROM unnest(%s::int4[], %s::int8[]) AS n (p, o)
               ORDER BY p ON CONFLICT DO NOTHING""",
            (market_id, self._kind.name, topic.topic_id, numbers, [int(topic.low[number]) for number in numbers]),
        )
        rows = connection.execute(
            """SELECT partition, topic_id, next_offset, last_sequence, last_number, may_skip FROM sink_offset
               WHERE market_id = %s AND kind = %s AND partition = ANY (%s) ORDER BY partition FOR UPDATE""",
            (market_id, self._kind.name, numbers),
        ).fetchall()
        found: dict[int, int] = {}
        for partition, topic_id, next_offset, last_sequence, last_number, may_skip in rows:
            if topic_id is not None and topic.topic_id is not None and topic_id != topic.topic_id:
                raise TopicError(
                    f"topic {self._topic} was deleted and recreated: the store has it up to offset {next_offset} of "
                    f"partition {partition} under the id {topic_id}, now its id is {topic.topic_id}. What is stored "
                    f"cannot be continued from it: give the market another name, or use another database"
                )
            found[partition] = position_within(self._topic, topic, partition, next_offset, "the store")
            self._order.begin(partition, last_sequence, last_number, may_skip=may_skip)
        self._topic_id = topic.topic_id
        return found

    def _check(self, batch: Batch) -> None:
        """Raise for problems that quarantine does not cover: another market's topic, and lost or duplicate ticks."""
        stranger = next((message for message in batch.unreadable if message.foreign), None)
        if stranger is not None and stranger.before == 0 and self._order.is_at_the_beginning(batch.partition):
            raise TopicError(
                f"topic {self._topic} partition {batch.partition} offset {stranger.offset}: {stranger.reason}. The "
                f"partition begins with another market's ticks; nothing of it was stored. Delete the topic, or drop "
                f"the market and feed it again"
            )
        problem = self._order.problem(batch)
        if problem is not None:
            raise TopicError(
                f"topic {self._topic} partition {batch.partition}, between offsets {batch.from_offset} and "
                f"{batch.to_offset - 1}: {problem}. The topic has lost or repeated ticks (were two feeds of this "
                f"market running?); nothing of them was stored"
            )

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self, batches: Sequence[Batch], columns: Columns, rows: bytes, *, indexed: bool) -> None:
        """columns: the rows of all batches; rows: they encoded. indexed: see `Chunks.make`."""
        back_off = FIRST_BACK_OFF
        unsettled = False
        while True:
            try:
                connection = self._connection.opened()
                if unsettled and self._is_in(connection, batches):
                    return
                self._chunks.make(connection, columns.time, indexed=indexed)
                self._commit(connection, batches, columns, rows)
            except psycopg.errors.CheckViolation as problem:
                # A partition was dropped since we saw it.
                self._chunks.forget()
                back_off = self._wait_or_raise(problem, back_off, transient=back_off < LONGEST_BACK_OFF)
            except psycopg.Error as problem:
                unsettled = True
                back_off = self._wait_or_raise(problem, back_off)
            else:
                return

    def _commit(self, connection: psycopg.Connection, batches: Sequence[Batch], columns: Columns, rows: bytes) -> None:
        with connection.transaction():
            self._move_offsets(connection, batches)
            quarantine(connection, self._market.market_id, self._topic, self._topic_id, batches)
            self._copy(connection, self._unclaimed(connection, columns, rows))

    def _unclaimed(self, connection: psycopg.Connection, columns: Columns, rows: bytes) -> bytes:
        """The rows without those of steps that a backfill writes. Called while the lock on the offsets is held, so that
        a claim that is not seen here has seen the rows written here (claims.py)."""
        if not len(columns):
            return rows
        first, last = int(columns.sequence.min()), int(columns.sequence.max())
        claimed = claimed_steps(connection, self._market, first, last)
        if not claimed:
            return rows
        return encode_copy_rows(columns.where(outside(columns.sequence, claimed)), self._ids)

    def _move_offsets(self, connection: psycopg.Connection, batches: Sequence[Batch]) -> None:
        steps = [self._order.reached(batch) for batch in batches]
        moved = connection.execute(
            """UPDATE sink_offset s SET next_offset = b.upto, updated_at = now(), may_skip = b.may_skip,
                      first_sequence = coalesce(
                          s.first_sequence, CASE WHEN s.last_sequence > 0 THEN 1 END, b.first_sequence),
                      last_sequence = coalesce(b.last_sequence, s.last_sequence),
                      last_number = CASE WHEN b.last_sequence IS NULL THEN s.last_number ELSE b.last_number END
               FROM unnest(%s::int4[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int4[], %s::bool[])
                        AS b (partition, beginning, upto, first_sequence, last_sequence, last_number, may_skip)
               WHERE s.market_id = %s AND s.kind = %s AND s.partition = b.partition
                 AND s.next_offset = b.beginning""",
            (
                [batch.partition for batch in batches],
                [batch.from_offset for batch in batches],
                [batch.to_offset for batch in batches],
                [step.first for step in steps],
                [step.last for step in steps],
                [step.number for step in steps],
                [self._order.may_skip_after(batch) for batch in batches],
                self._market.market_id,
                self._kind.name,
            ),
        )
        if moved.rowcount != len(batches):
            raise self._conflict(batches)

    def _copy(self, connection: psycopg.Connection, rows: bytes) -> None:
        with connection.cursor().copy(copy_statement(self._kind)) as copy:
            copy.write(memoryview(rows))

    def _is_in(self, connection: psycopg.Connection, batches: Sequence[Batch]) -> bool:
        """Whether the batch was committed before the connection broke. FOR UPDATE waits for a session in progress."""
        found: dict[int, int] = dict(
            connection.execute(
                """SELECT partition, next_offset FROM sink_offset
                   WHERE market_id = %s AND kind = %s AND partition = ANY (%s) ORDER BY partition FOR UPDATE""",
                (self._market.market_id, self._kind.name, [batch.partition for batch in batches]),
            ).fetchall()
        )
        if all(found.get(batch.partition) == batch.to_offset for batch in batches):
            return True
        if all(found.get(batch.partition) == batch.from_offset for batch in batches):
            return False
        raise self._conflict(batches)

    def _conflict(self, batches: Sequence[Batch]) -> OffsetConflict:
        ranges = ", ".join(f"{batch.partition}: {batch.from_offset}" for batch in batches)
        return OffsetConflict(
            f"the store is not where this worker was in {self._topic} (partition: offset {ranges}): another worker "
            f"goes on with these partitions, or the server lost its newest commits. This batch was dropped"
        )

    # --- old chunks --------------------------------------------------------------------------------------------------

    def _see_to_old_chunks(self) -> None:
        """Once a minute, after a batch or while idle."""
        if not self._keeps_up or time.monotonic() - self._kept_up_at < UPKEEP_SECONDS:
            return
        self._kept_up_at = time.monotonic()
        try:
            if keep_up(self._connection.opened(), self._tier):
                self._chunks.forget()
        except psycopg.Error as problem:
            _log.warning("old ticks are not dropped for now: %s", store_error(problem, self._connections))
            self._connection.close()

    # --- the connection ----------------------------------------------------------------------------------------------

    def _wait_or_raise(self, problem: psycopg.Error, back_off: float, *, transient: bool | None = None) -> float:
        """Wait before trying again, and return the next back-off; or raise what `problem` means to a user."""
        if not (is_transient(problem, self._connection.current) if transient is None else transient):
            raise store_error(problem, self._connections) from None
        meaning = store_error(problem, self._connections)
        self._connection.close()
        # Once per outage, and again for another problem, such as a server that comes back read-only.
        if back_off == FIRST_BACK_OFF or str(meaning) != self._told:
            self._told = str(meaning)
            _log.warning("%s. Retrying until the server is back; nothing is lost meanwhile", meaning)
        if self._gave_up.wait(back_off):
            raise ServerError(f"{meaning}. The current batch was not stored; it is read again at the next start")
        return min(back_off * 2, LONGEST_BACK_OFF)
