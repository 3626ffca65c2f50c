"""A sink with a thread of its own, which decodes and writes while the loop reads from Kafka.

The loop (partitions.py) fills a lane's buffers and hands them over when they hold enough; while the lane writes them,
the loop fills the next ones. So a slow or absent server never blocks the loop, which must stay in Kafka's group. And
decoding, sorting and writing (which release the GIL) overlap with reading.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume.sink import Batch, Sink, Unreadable
from pseudofeed.consume.stream import Stream
from pseudofeed.errors import MalformedMessage, ServerError, TopicError
from pseudofeed.records import ColumnMemory, Columns

__all__ = ["Lane", "Partition", "RawBatch", "Written"]

_log = logging.getLogger("pseudofeed.consume")

LONGEST_SINGLE_TICK = 72  # in SBE, and the shortest block; a tick as JSON is longer
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Messages of one partition, not decoded yet, with their offsets; seconds: see Batch."""

    partition: int
    from_offset: int
    values: list[bytes]
    offsets: list[int]
    seconds: float

    @property
    def to_offset(self) -> int:
        return self.offsets[-1] + 1


@dataclass(frozen=True, slots=True)
class Written:
    """What one write has stored: ticks, their newest step, each partition's next offset. unreadable: messages."""

    ticks: int
    last_step: int
    unreadable: int
    next_offsets: Mapping[int, int]


@dataclass(slots=True, eq=False)
class Partition:
    """An assigned partition.

    position: the next offset to read, None until the sink's is known. done: the sink has everything before it.
    """

    number: int
    lane: Lane
    position: int | None = None
    done: int = 0
    wanted: int | None = None  # the offset that the sink asked for, until the consumer is there
    asked: bool = False
    from_offset: int = 0
    values: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def take(self, seconds: float) -> RawBatch:
        """All buffered messages as a batch; empties the buffers. seconds: see Batch."""
        batch = RawBatch(self.number, self.from_offset, self.values, self.offsets, seconds)
        self.values, self.offsets = [], []
        self.from_offset = batch.to_offset
        return batch

    def forget(self) -> None:
        """Drop the buffered messages, and wait for a position from the sink."""
        self.values, self.offsets = [], []
        self.position = self.wanted = None
        self.asked = False


class Lane:
    """One sink, its thread, and the partitions it serves."""

    def __init__(self, sink: Sink, number: int, stream: Stream) -> None:
        self.sink = sink
        self.rows = 0  # about how many rows are buffered for the next write
        self.since = 0.0  # when the oldest of them came
        self.writing: Future[Written] | None = None
        self.writing_partitions: frozenset[int] = frozenset()
        self.asking: Future[Mapping[int, int]] | None = None
        self._idling: Future[None] | None = None
        self._idled_at = 0.0
        self._ending = False
        self._stream = stream
        self._row_bytes = stream.kind.row_bytes
        self._memory = ColumnMemory()  # the columns of one write after another
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"pseudofeed-lane-{number}")

    def add(self, partition: Partition, offset: int, value: bytes) -> None:
        if not self.rows:
            self.since = time.monotonic()
        partition.values.append(value)
        partition.offsets.append(offset)
        self.rows += _rows(value, self._row_bytes)

    def recount(self, partitions: Sequence[Partition]) -> None:
        """Called after buffers were dropped: the lane now serves only `partitions`."""
        self.rows = sum(_rows(value, self._row_bytes) for partition in partitions for value in partition.values)

    def write(self, partitions: Sequence[Partition]) -> None:
        """Hand all buffered messages to the thread."""
        seconds = time.monotonic() - self.since
        batches = [partition.take(seconds) for partition in partitions if partition.values]
        self.rows = 0
        self.writing_partitions = frozenset(batch.partition for batch in batches)
        self.writing = self._thread.submit(self._write, batches)

    def ask(self, describe: Callable[[], TopicInfo], partitions: Sequence[int]) -> None:
        """Ask the sink where to continue; the answer is `asking`'s result."""
        self.asking = self._thread.submit(self._ask, describe, tuple(partitions))

    def idle(self) -> None:
        """Call while there is nothing to write: the sink's `idle` is called once a second."""
        if self._idling is not None and self._idling.done():
            idling, self._idling = self._idling, None
            idling.result()
        elif self._idling is None and time.monotonic() - self._idled_at > IDLE_SECONDS:
            self._idled_at = time.monotonic()
            self._idling = self._thread.submit(self.sink.idle)

    def give_up(self) -> None:
        """The worker ends: work in progress may finish, but no longer waits for a server."""
        self._ending = True
        self.sink.give_up()

    def finish(self) -> Future[bool]:
        """After the last write; the result is the sink's."""
        return self._thread.submit(self.sink.finish)

    def drop(self, partitions: Sequence[int]) -> None:
        self._thread.submit(self.sink.drop, tuple(partitions))

    def close(self) -> None:
        self.give_up()
        self._thread.submit(self.sink.close)
        self._thread.shutdown(wait=True)

    def _write(self, batches: Sequence[RawBatch]) -> Written:
        decoded = [self._decode(batch) for batch in batches]
        self.sink.write(decoded)
        return Written(
            ticks=sum(len(batch.columns) for batch in decoded),
            last_step=max((batch.last_step for batch in decoded), default=0),
            unreadable=sum(len(batch.unreadable) for batch in decoded),
            next_offsets={batch.partition: batch.to_offset for batch in decoded},
        )

    def _decode(self, batch: RawBatch) -> Batch:
        """The rows of the readable messages, and the other messages unchanged."""
        parts: list[Columns] = []
        unreadable: list[Unreadable] = []
        rows = begin = 0
        while begin < len(batch.values):
            end = len(batch.values)
            problem = None
            try:
                part = self._rows(batch, begin, end)
            except MalformedMessage as error:
                problem, end = error, begin + (error.index or 0)
                part = self._rows(batch, begin, end)
            parts.append(part)
            rows += len(part)
            begin = end
            if problem is not None:
                value = batch.values[end]
                found = Unreadable(batch.offsets[end], value, str(problem), rows, self._is_foreign(value))
                unreadable.append(found)
                _log.warning(
                    "topic %s partition %d offset %d cannot be read: %s",
                    self._stream.topic, batch.partition, found.offset, found.reason,
                )  # fmt: skip
                begin += 1
        columns = Columns.concatenate(self._stream.kind, parts)
        return Batch(batch.partition, batch.from_offset, batch.to_offset, columns, tuple(unreadable), batch.seconds)

    def _rows(self, batch: RawBatch, begin: int, end: int) -> Columns:
        return self._stream.codec.decode(batch.values[begin:end], batch.partition, self._memory)

    def _is_foreign(self, value: bytes) -> bool:
        try:
            return self._stream.codec.peek(value).fingerprint != self._stream.fingerprint
        except MalformedMessage:
            return False

    def _ask(self, describe: Callable[[], TopicInfo], partitions: Sequence[int]) -> Mapping[int, int]:
        """Waits however long the broker is away; no answer if the worker ends meanwhile."""
        doubted = False
        while not self._ending:
            try:
                topic = describe()
            except ServerError:
                time.sleep(0.5)
                continue
            try:
                return self.sink.positions(topic, partitions)
            except TopicError:
                # If this process was suspended after it had asked for the topic's ends, others may have continued
                # from there. A real problem of the topic is still there when it is checked again.
                if doubted:
                    raise
                doubted = True
        return {}


def _rows(message: bytes, row_bytes: int) -> int:
    """About how many rows it holds, at least one. Too high for small blocks, since header and times count, too."""
    if len(message) <= LONGEST_SINGLE_TICK or message[:1] == b"{":
        return 1
    return max(1, len(message) // row_bytes)
