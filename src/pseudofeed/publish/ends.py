"""The ends of a market's topics, read from the last messages of each partition.

Offsets may have gaps, so the last messages are searched backwards from the end, in growing steps. The broker may still
write requests of a killed feed after the ends were read. So the ends of a topic with data are read until two readings,
`SETTLE_SECONDS` apart, are the same. If a request arrives even later, the producer detects it, because its messages do
not get the offsets that are due (Producer.begin).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode import Codec, codec_of, members_of, partition_count, partitions_of
from pseudofeed.errors import MalformedMessage, TopicError
from pseudofeed.records import Columns, Kind, Shape, kinds_of
from pseudofeed.simulate.paths import TickBlock

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["MarketEnds", "PartitionEnd", "TopicEnds", "read_ends"]

SETTLE_SECONDS = 0.25
SETTLE_TIMEOUT = 10.0

# Two messages of a partition are read: the last one shows the end, and it must continue the one before.
_MESSAGES = 2


@dataclass(frozen=True, slots=True, eq=False)
class PartitionEnd:
    """What a partition with M instruments (or factors) holds: all steps up to `step`, and of the next one the first
    `ahead` instruments, fewer than M; all of it before `offset`, the next one to be written.

    step: None if no message can be read, though some were written. last: the last messages; None if there are none.
    """

    numbers: NDArray[np.int64]
    offset: int
    step: int | None = 0
    ahead: int = 0
    last: Columns | None = None

    @property
    def newest(self) -> int:
        """The newest step of which it holds anything."""
        return (self.step or 0) + (self.ahead > 0)


@dataclass(frozen=True, slots=True, eq=False)
class TopicEnds:
    """All partitions of a dense kind's topic."""

    kind: Kind
    topic: str
    partitions: tuple[PartitionEnd, ...]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(P,), the next one to be written in each partition."""
        return np.array([end.offset for end in self.partitions], dtype=np.int64)

    @property
    def newest(self) -> int:
        """The newest step of which it holds anything."""
        return max(end.newest for end in self.partitions)

    @property
    def steps(self) -> NDArray[np.int64]:
        """(P,), the step up to which each partition holds everything."""
        return np.array([end.step or 0 for end in self.partitions], dtype=np.int64)

    @property
    def ahead(self) -> NDArray[np.int64]:
        """(P,)"""
        return np.array([end.ahead for end in self.partitions], dtype=np.int64)

    def check(self, block: TickBlock) -> None:
        """Compare a newly simulated block with the last messages. Raises TopicError if they differ."""
        values = {field.name: getattr(block, field.array) for field in self.kind.fields}
        for partition in range(len(self.partitions)):
            step = self._first_difference(partition, block.first_step, {"time": block.time, **values})
            if step is not None:
                raise TopicError(
                    f"topic {self.topic}, partition {partition}: step {step} is not what the simulation makes of it: "
                    "it was altered, or written by another version of pseudofeed. `pseudofeed verify` shows where; "
                    "delete the market's topics to start again"
                )

    def agrees(self, step: int, values: Mapping[str, NDArray[np.float64]]) -> bool:
        """Whether the last messages have these values, by field, (N,) each, if they hold that step."""
        rows = {name: value[np.newaxis] for name, value in values.items()}
        return all(self._first_difference(partition, step, rows) is None for partition in range(len(self.partitions)))

    def _first_difference(self, partition: int, first_step: int, values: Mapping[str, NDArray[Any]]) -> int | None:
        """The first step in which the partition's last messages do not have these values: (T,) or (T, N) each, of the
        steps from `first_step` on."""
        last = self.partitions[partition].last
        if last is None:
            return None
        steps = len(next(iter(values.values())))
        rows = np.flatnonzero((last.sequence >= first_step) & (last.sequence < first_step + steps))
        row, number = last.sequence[rows] - first_step, last.number[rows]
        differs = np.zeros(len(rows), dtype=np.bool_)
        for name, right in values.items():
            expected = right[row] if right.ndim == 1 else right[row, number]
            differs |= last[name][rows].view(np.int64) != expected.view(np.int64)
        return int(last.sequence[rows][differs].min()) if differs.any() else None


class MarketEnds:
    """The ends of all topics with a dense kind: `ends[TICK]`."""

    def __init__(self, topics: Iterable[TopicEnds]) -> None:
        self._topics = {topic.kind: topic for topic in topics}

    def __getitem__(self, kind: Kind) -> TopicEnds:
        return self._topics[kind]

    def __iter__(self) -> Iterator[TopicEnds]:
        return iter(self._topics.values())

    @property
    def used(self) -> tuple[PartitionEnd, ...]:
        """Partitions that have at least one member."""
        return tuple(end for topic in self for end in topic.partitions if len(end.numbers))

    @property
    def newest(self) -> int:
        """The newest step of which any record is there."""
        return max(topic.newest for topic in self)

    @property
    def first_step(self) -> int:
        """The first step that some partition lacks, or that its last messages hold."""
        return min((end.step or 0) + 1 if end.last is None else int(end.last.sequence.min()) for end in self.used)

    def check(self, block: TickBlock) -> None:
        """As TopicEnds.check, of all topics."""
        for topic in self:
            topic.check(block)


@dataclass(frozen=True, slots=True)
class _Source:
    """How a topic is read. members: the numbers in each partition."""

    kind: Kind
    topic: str
    members: Sequence[NDArray[np.int64]]
    codec: Codec


def read_ends(kafka: Mapping[str, str], market: Market, partitions: int, *, settle: bool = True) -> MarketEnds:
    """The ends of a market's topics. partitions: of those of instruments. The last messages are checked: lengths,
    checksums, fingerprint, partition, and that they follow on from each other.

    settle: wait until the ends stop moving. Raises TopicError naming the topic if another feed keeps writing or the
    data is out of order; MalformedMessage naming partition and offset.
    """
    sources = []
    for kind in kinds_of(market):
        if kind.shape is Shape.DENSE:
            members = members_of(partitions_of(kind, market, partitions), partition_count(kind, partitions))
            codec = codec_of(kind, market, market.fingerprint)
            sources.append(_Source(kind, kind.topic_of(market.name), members, codec))
    with TopicReader(kafka) as reader:
        ranges = _ranges(reader, {source.topic: len(source.members) for source in sources}, settle=settle)
        return MarketEnds([_topic_ends(reader, source, ranges[source.topic]) for source in sources])


@dataclass(frozen=True, slots=True, eq=False)
class _Range:
    """(P,) each: the first offset that a topic holds, and the next one to be written."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]


def _ranges(reader: TopicReader, topics: Mapping[str, int], *, settle: bool) -> dict[str, _Range]:
    """The ranges of each topic (name -> partitions), once no end moves."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    before: dict[str, _Range] | None = None
    while True:
        found = {topic: _Range(*reader.watermarks(topic, partitions)) for topic, partitions in topics.items()}
        if not settle or not any(own.high.any() for own in found.values()):
            return found
        moving = [t for t in topics if before is None or not np.array_equal(before[t].high, found[t].high)]
        if not moving:
            return found
        if time.monotonic() > deadline:
            raise TopicError(
                f"another feed is writing to topic {moving[0]}: a market has one feed at a time; stop the other one"
            )
        before = found
        time.sleep(SETTLE_SECONDS)


def _topic_ends(reader: TopicReader, source: _Source, offsets: _Range) -> TopicEnds:
    last = _read_back(reader, source, offsets)
    ends = []
    for partition, numbers in enumerate(source.members):
        high = int(offsets.high[partition])
        if partition in last:
            ends.append(_partition_end(source.topic, partition, numbers, last[partition], high))
        else:
            ends.append(PartitionEnd(numbers, high, None if high > 0 else 0))
    return TopicEnds(source.kind, source.topic, tuple(ends))


def _read_back(reader: TopicReader, source: _Source, offsets: _Range) -> dict[int, Columns]:
    """The last messages of each partition that has any, decoded."""
    found: dict[int, Columns] = {}
    low, high = offsets.low, offsets.high
    back = {p: _MESSAGES for p in range(len(source.members)) if high[p] > low[p]}
    while back:
        starts = {p: int(max(low[p], high[p] - count)) for p, count in back.items()}
        messages: dict[int, list[tuple[int, bytes]]] = {p: [] for p in starts}
        for message in reader.read(source.topic, starts):
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset < high[partition]:
                messages[partition].append((offset, message.value() or b""))
        for p, own in messages.items():
            if len(own) < _MESSAGES and starts[p] > low[p]:
                back[p] *= 8
                continue
            del back[p]
            if own:
                found[p] = _decode(source, p, own[-_MESSAGES:])
    return found


def _decode(source: _Source, partition: int, messages: list[tuple[int, bytes]]) -> Columns:
    try:
        return source.codec.decode([value for _, value in messages], partition)
    except MalformedMessage as error:
        raise MalformedMessage(
            f"topic {source.topic}, partition {partition}, offset {messages[error.index or 0][0]}: {error}. If the "
            "topic is left over from an older market of this name, delete it"
        ) from None


def _partition_end(topic: str, partition: int, numbers: NDArray[np.int64], last: Columns, offset: int) -> PartitionEnd:
    place = f"topic {topic}, partition {partition}"
    columns = np.searchsorted(numbers, last.number)
    known = columns < len(numbers)
    known[known] = numbers[columns[known]] == last.number[known]
    if not known.all():
        number = int(last.number[np.flatnonzero(~known)[0]])
        raise TopicError(f"{place}: it holds a record of number {number}, which does not belong there")
    breaks = np.flatnonzero(np.diff(last.sequence * len(numbers) + columns) != 1) + 1
    if len(breaks):
        raise TopicError(
            f"{place}: step {last.sequence[breaks[0]]} of number {last.number[breaks[0]]} does not follow on from what "
            "stands before it: another program writes to it. `pseudofeed verify` shows more"
        )
    sequence, ahead = int(last.sequence[-1]), (int(columns[-1]) + 1) % len(numbers)
    return PartitionEnd(numbers, offset, sequence - (ahead > 0), ahead, last)
