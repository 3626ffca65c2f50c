"""Compares the topics with the simulation: each partition from its oldest message to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import describe
from pseudofeed.consume.stream import Stream, stream_of
from pseudofeed.encode import members_of, partitions_of
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import Kind
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_kafka", "newest_kafka"]

_STAGE = "kafka"
# Messages that are decoded at once: enough to make the overhead of a call negligible, and few enough that their ticks
# take only some tens of MB.
_MESSAGES = 64


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic and what is compared in it. members: the numbers in each partition."""

    stream: Stream
    members: list[NDArray[np.int64]]

    @classmethod
    def of(cls, record: MarketRecord, kind: Kind) -> _Topic:
        stream = stream_of(record, kind)
        return cls(stream, members_of(partitions_of(kind, record.market, record.partitions), stream.partitions))


def newest_kafka(record: MarketRecord, connections: Connections, kinds: Sequence[Kind]) -> int:
    """The newest step of any partition of these kinds; 0 if the topics are empty. Raises TopicError if none of
    the topics exists.

    Several last messages are read, because the very last one may be damaged, repeated, or from another program;
    `compare_kafka` reports that.
    """
    kafka = connections.require_kafka()
    topics = [_Topic.of(record, kind) for kind in kinds]
    if all(_held(kafka, topic) is None for topic in topics):
        describe(kafka, topics[0].stream.topic)  # raises if there is none
    return max(_newest(kafka, topic) for topic in topics)


def _newest(kafka: Mapping[str, str], topic: _Topic) -> int:
    back = _MESSAGES
    held = _held(kafka, topic) or []
    most = max((high - low for low, high in held), default=0)
    with TopicReader(kafka) as reader:
        while True:
            starts = {p: max(low, high - back) for p, (low, high) in enumerate(held)}
            newest = max((_last_step(topic, message) for message in reader.read(topic.stream.topic, starts)), default=0)
            if newest or back >= most:
                return newest
            back *= 8


def _held(kafka: Mapping[str, str], topic: _Topic) -> list[tuple[int, int]] | None:
    """Of each partition, the first offset that exists and the end; None if there is no such topic."""
    with TopicReader(kafka) as reader:
        if reader.partitions(topic.stream.topic) == 0:
            return None
    state = describe(kafka, topic.stream.topic)
    return list(zip(state.low.tolist(), state.high.tolist(), strict=True))


def _last_step(topic: _Topic, message: Message) -> int:
    """0 if it has no row of this market and partition."""
    try:
        header = topic.stream.codec.peek(message.value() or b"")
    except MalformedMessage:
        return 0
    ours = header.fingerprint == topic.stream.fingerprint and header.partition in (None, message.partition())
    return header.last_step if ours else 0


def compare_kafka(
    record: MarketRecord, connections: Connections, kind: Kind, tally: StageTally, last_step: int
) -> None:
    """Compare all messages of a kind's topic; without such a topic, all rows are missing. Steps before a
    partition's oldest message, deleted by retention, are not missing."""
    kafka = connections.require_kafka()
    topic = _Topic.of(record, kind)
    held = _held(kafka, topic) or []
    with TopicReader(kafka) as reader:
        for partition in range(topic.stream.partitions):
            check = _Partition(record, topic, partition, tally, last_step)
            if partition < len(held):
                start = held[partition][0]
                batch: list[Message] = []
                for message in reader.read(topic.stream.topic, {partition: start}):
                    batch.append(message)
                    if len(batch) == _MESSAGES:
                        check.add(batch, retained_from=start)
                        batch = []
                check.add(batch, retained_from=start)
            check.finish()


class _Partition:
    """One partition's messages, decoded and compared."""

    def __init__(self, record: MarketRecord, topic: _Topic, partition: int, tally: StageTally, last_step: int) -> None:
        self._record, self._topic, self._partition = record, topic, partition
        self._tally, self._last_step = tally, last_step
        self._comparison: Comparison | None = None

    def add(self, messages: list[Message], *, retained_from: int) -> None:
        values = [message.value() or b"" for message in messages]
        offsets = [message.offset() or 0 for message in messages]
        if not values:
            return
        try:
            self._compare(values, offsets, retained_from)
        except MalformedMessage:
            # Decoding one at a time finds the damaged ones; their ticks count as missing.
            for value, offset in zip(values, offsets, strict=True):
                try:
                    self._compare([value], [offset], retained_from)
                except MalformedMessage as problem:
                    self._reject(offset, problem)

    def finish(self) -> None:
        self._comparing(1).finish()

    def _compare(self, values: list[bytes], offsets: list[int], retained_from: int) -> None:
        codec = self._topic.stream.codec
        columns = codec.decode(values, self._partition)
        headers = [codec.peek(value) for value in values]
        first_step = headers[0].first_step if retained_from > 0 else 1
        ends = np.cumsum([header.rows for header in headers])
        self._comparing(first_step).add(columns, self._place(offsets, ends))

    def _comparing(self, first_step: int) -> Comparison:
        """The comparison, from the step of the oldest message on."""
        if self._comparison is None:
            self._comparison = Comparison(
                self._record.market,
                self._topic.members[self._partition],
                stage=_STAGE,
                tally=self._tally,
                first_step=first_step,
                last_step=self._last_step,
                kind=self._topic.stream.kind,
            )
        return self._comparison

    def _place(self, offsets: list[int], ends: NDArray[np.int64]) -> Callable[[int], str]:
        def where(index: int) -> str:
            return self._at(offsets[int(np.searchsorted(ends, index, side="right"))])

        return where

    def _at(self, offset: int) -> str:
        return f"{self._topic.stream.topic} partition {self._partition} offset {offset}"

    def _reject(self, offset: int, problem: MalformedMessage) -> None:
        own = self._topic.stream.kind
        self._tally.unexpected += 1
        self._tally.note(
            Difference(
                stage=_STAGE,
                kind="unexpected",
                what=own.name,
                of=own.key.value,
                market=self._record.name,
                symbol=None,
                step=None,
                expected=own.topic,
                found=str(problem),
                where=self._at(offset),
            )
        )
