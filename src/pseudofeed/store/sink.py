"""Ticks into PostgreSQL, each exactly once.

    BEGIN; UPDATE sink_offset ... AND next_offset = <from>; COPY tick FROM STDIN (FORMAT binary); COMMIT

The update must hit one row for each partition of the batch; if another worker has moved one, nothing is written and the
batch is dropped (OffsetConflict). When a connection breaks at any point, also after COMMIT was sent, the rows of
sink_offset tell on a new connection whether the batch is in: so one way serves server restarts, failovers and lost
answers alike.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import psycopg

from pseudofeed.consume import Batch, position_within
from pseudofeed.encode import TickColumns, encode_copy_rows
from pseudofeed.errors import OffsetConflict, ServerError, TopicError
from pseudofeed.publish.topics import TopicState, tick_topic
from pseudofeed.settings import Connections
from pseudofeed.store.chunks import Chunks, chunk_length_us
from pseudofeed.store.connection import may_pass, open_connection, store_error
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.schema import Tier

__all__ = ["StoreSink"]

_log = logging.getLogger("pseudofeed.store")
_log.addHandler(logging.NullHandler())

FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 5.0
COPY_TICKS = "COPY tick (time, instrument_id, price, variance) FROM STDIN (FORMAT binary)"


class StoreSink:
    """One connection that stores the partitions it is given; see `pseudofeed.consume.Sink` for when what is called."""

    def __init__(self, connections: Connections, market: StoredMarket, tier: Tier) -> None:
        self._connections = connections
        self._market = market
        self._topic = tick_topic(market.record.name)
        clock = market.record.market.clock
        self._chunks = Chunks(tier, chunk_length_us(len(market.instrument_ids), clock.step_ns))
        self._connection: psycopg.Connection | None = None
        self._gave_up = threading.Event()
        self._last_sequence: dict[int, int | None] = {}

    # --- pseudofeed.consume.Sink ---------------------------------------------------------------------------------

    def positions(self, topic: TopicState, partitions: Sequence[int]) -> Mapping[int, int]:
        back_off = FIRST_BACK_OFF
        while True:
            try:
                connection = self._connected()
                with connection.transaction():
                    return self._lock_positions(connection, topic, partitions)
            except psycopg.Error as problem:
                back_off = self._wait_or_raise(problem, back_off)

    def write(self, batches: Sequence[Batch]) -> None:
        columns = TickColumns.concatenate([batch.columns for batch in batches])
        for batch in batches:
            self._check_sequence(batch)
        rows = encode_copy_rows(columns, self._market.instrument_ids)
        back_off = FIRST_BACK_OFF
        unsettled = False
        while True:
            try:
                connection = self._connected()
                if unsettled and self._is_in(connection, batches):
                    break
                self._chunks.make(connection, columns.time)
                self._commit(connection, batches, rows)
                break
            except psycopg.errors.CheckViolation as problem:
                # A partition was dropped since we saw it.
                self._chunks.forget()
                back_off = self._wait_or_raise(problem, back_off, passes=back_off < LONGEST_BACK_OFF)
            except psycopg.Error as problem:
                unsettled = True
                back_off = self._wait_or_raise(problem, back_off)
        for batch in batches:
            if len(batch.columns):
                self._last_sequence[batch.partition] = int(batch.columns.sequence[-1])

    def rewind(self, topic: TopicState, partition: int, reached: int) -> int | None:  # noqa: ARG002
        return None

    def drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._last_sequence.pop(partition, None)

    def idle(self) -> None:
        pass

    def give_up(self) -> None:
        self._gave_up.set()

    def close(self) -> None:
        self._disconnect()

    # --- positions ---------------------------------------------------------------------------------------------------

    def _lock_positions(
        self, connection: psycopg.Connection, topic: TopicState, partitions: Sequence[int]
    ) -> Mapping[int, int]:
        """Read the rows under a lock, so that a predecessor's write has ended either way; make those missing."""
        numbers = sorted(partitions)
        market_id = self._market.market_id
        connection.execute(
            """INSERT INTO sink_offset (market_id, partition, topic_id, next_offset, last_sequence)
               SELECT %s, p, %s, o, CASE o WHEN 0 THEN 0 END FROM unnest(%s::int4[], %s::int8[]) AS n (p, o)
               ORDER BY p ON CONFLICT DO NOTHING""",
            (market_id, topic.topic_id, numbers, [int(topic.low[number]) for number in numbers]),
        )
        rows = connection.execute(
            """SELECT partition, topic_id, next_offset, last_sequence FROM sink_offset
               WHERE market_id = %s AND partition = ANY (%s) ORDER BY partition FOR UPDATE""",
            (market_id, numbers),
        ).fetchall()
        found: dict[int, int] = {}
        for partition, topic_id, next_offset, last_sequence in rows:
            if topic_id is not None and topic.topic_id is not None and topic_id != topic.topic_id:
                raise TopicError(
                    f"topic {self._topic} was deleted and made anew: the store has it up to offset {next_offset} of "
                    f"partition {partition} under the id {topic_id}, now its id is {topic.topic_id}. What is stored "
                    f"cannot be continued from it: give the market another name, or use another database"
                )
            found[partition] = position_within(self._topic, topic, partition, next_offset, "the store")
            self._last_sequence[partition] = last_sequence
        return found

    def _check_sequence(self, batch: Batch) -> None:
        """Each partition holds its steps in order, once each; else there was a second feed, or messages were lost."""
        sequence = batch.columns.sequence
        if not len(sequence):
            return
        last = self._last_sequence.get(batch.partition)
        if last is not None and sequence[0] != last + 1:
            raise self._out_of_order(batch, last + 1, int(sequence[0]))
        steps = np.diff(sequence)
        wrong = (steps != 0) & (steps != 1)
        if wrong.any():
            at = int(wrong.argmax())
            raise self._out_of_order(batch, int(sequence[at]) + 1, int(sequence[at + 1]))

    def _out_of_order(self, batch: Batch, expected: int, found: int) -> TopicError:
        return TopicError(
            f"topic {self._topic} partition {batch.partition}, between offsets {batch.from_offset} and "
            f"{batch.to_offset - 1}: step {expected} should come, step {found} is there. The topic has lost or "
            f"repeated ticks (were two feeds of this market running?); nothing of them was stored"
        )

    # --- writing -----------------------------------------------------------------------------------------------------

    def _commit(self, connection: psycopg.Connection, batches: Sequence[Batch], rows: bytes) -> None:
        with connection.transaction():
            self._move_offsets(connection, batches)
            self._copy(connection, rows)

    def _move_offsets(self, connection: psycopg.Connection, batches: Sequence[Batch]) -> None:
        moved = connection.execute(
            """UPDATE sink_offset s SET next_offset = b.upto, updated_at = now(),
                      last_sequence = coalesce(b.last_sequence, s.last_sequence)
               FROM unnest(%s::int4[], %s::int8[], %s::int8[], %s::int8[])
                    AS b (partition, beginning, upto, last_sequence)
               WHERE s.market_id = %s AND s.partition = b.partition AND s.next_offset = b.beginning""",
            (
                [batch.partition for batch in batches],
                [batch.from_offset for batch in batches],
                [batch.to_offset for batch in batches],
                [int(batch.columns.sequence[-1]) if len(batch.columns) else None for batch in batches],
                self._market.market_id,
            ),
        )
        if moved.rowcount != len(batches):
            raise self._conflict(batches)

    def _copy(self, connection: psycopg.Connection, rows: bytes) -> None:
        with connection.cursor().copy(COPY_TICKS) as copy:
            copy.write(memoryview(rows))

    def _is_in(self, connection: psycopg.Connection, batches: Sequence[Batch]) -> bool:
        """Was the batch committed before the connection broke? FOR UPDATE waits for a session not ended yet."""
        found: dict[int, int] = dict(
            connection.execute(
                """SELECT partition, next_offset FROM sink_offset
                   WHERE market_id = %s AND partition = ANY (%s) ORDER BY partition FOR UPDATE""",
                (self._market.market_id, [batch.partition for batch in batches]),
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
            f"another worker has stored partitions of {self._topic} beyond where this one was (partition: offset "
            f"{ranges}); this batch was dropped"
        )

    # --- the connection ----------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._disconnect()
            self._connection = open_connection(
                self._connections, application=f"pseudofeed store {self._market.record.name}", writer=True
            )
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _wait_or_raise(self, problem: psycopg.Error, back_off: float, *, passes: bool | None = None) -> float:
        """Wait before trying again, and return the next back-off; or raise what `problem` means to a user."""
        if not (may_pass(problem, self._connection) if passes is None else passes):
            raise store_error(problem, self._connections) from None
        meaning = store_error(problem, self._connections)
        self._disconnect()
        if back_off == FIRST_BACK_OFF:
            _log.warning("%s. Trying again until it passes; nothing is lost meanwhile", meaning)
        if self._gave_up.wait(back_off):
            raise ServerError(f"{meaning}. The batch in hand was not stored; it is read again at the next start")
        return min(back_off * 2, LONGEST_BACK_OFF)
