"""The topics against the simulation: each partition from its oldest message to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import describe
from pseudofeed.consume.stream import Stream, factor_stream, tick_stream
from pseudofeed.encode import instrument_partitions, peek_factor_block, peek_ticks
from pseudofeed.errors import MalformedMessage
from pseudofeed.settings import Connections
from pseudofeed.verify import compare
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_kafka", "compare_kafka_factors", "newest_kafka"]

_STAGE = "kafka"
# Messages that are decoded at once: a call's overhead vanishes, and their ticks stay within some tens of MB.
_MESSAGES = 64


@dataclass(frozen=True, slots=True)
class _Header:
    """Of one message. partition: None in JSON. rows: entries of the columns that it is decoded to."""

    fingerprint: int
    partition: int | None
    first_step: int
    last_step: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic and what is compared in it. members: the numbers in each partition."""

    stream: Stream
    series: compare.Series
    peek: Callable[[bytes], _Header]
    members: list[NDArray[np.int64]]


def _tick_topic(record: MarketRecord) -> _Topic:
    def peek(message: bytes) -> _Header:
        header = peek_ticks(message)
        return _Header(header.fingerprint, header.partition, header.first_step, header.last_step, header.ticks)

    of = instrument_partitions(record.market.symbols, record.partitions)
    members = [np.flatnonzero(of == partition) for partition in range(record.partitions)]
    return _Topic(tick_stream(record), compare.TICKS, peek, members)


def _factor_topic(record: MarketRecord) -> _Topic:
    def peek(message: bytes) -> _Header:
        header = peek_factor_block(message)
        rows = header.steps * header.factors
        return _Header(header.fingerprint, header.partition, header.first_step, header.last_step, rows)

    return _Topic(factor_stream(record), compare.FACTORS, peek, [np.arange(len(record.market.factors.names))])


def newest_kafka(record: MarketRecord, connections: Connections) -> int:
    """The newest step of any partition; 0 where the topics are empty.

    Looked for in the last messages, not only the last: what stands there may be damaged, repeated, or of no feed of
    this market, and that is for `compare_kafka` to say.
    """
    return max(_newest(topic, connections) for topic in (_tick_topic(record), _factor_topic(record)))


def _newest(topic: _Topic, connections: Connections) -> int:
    kafka, back = connections.require_kafka(), _MESSAGES
    held = _held(kafka, topic)
    most = max((high - low for low, high in held), default=0)
    with TopicReader(kafka) as reader:
        while True:
            starts = {p: max(low, high - back) for p, (low, high) in enumerate(held)}
            newest = max((_last_step(topic, message) for message in reader.read(topic.stream.topic, starts)), default=0)
            if newest or back >= most:
                return newest
            back *= 8


def _held(kafka: Mapping[str, str], topic: _Topic) -> list[tuple[int, int]]:
    """Of each partition the first offset that is there, and its end; none where there is no topic of factors, all of
    which are missing then. Raises TopicError where there is none of ticks."""
    if topic.series is compare.FACTORS:
        with TopicReader(kafka) as reader:
            if reader.partitions(topic.stream.topic) == 0:
                return []
    state = describe(kafka, topic.stream.topic)
    return list(zip(state.low.tolist(), state.high.tolist(), strict=True))


def _last_step(topic: _Topic, message: Message) -> int:
    """0 where it has nothing of this market and partition."""
    try:
        header = topic.peek(message.value() or b"")
    except MalformedMessage:
        return 0
    ours = header.fingerprint == topic.stream.fingerprint and header.partition in (None, message.partition())
    return header.last_step if ours else 0


def compare_kafka(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare all that the topic of ticks holds. Steps before a partition's oldest message, deleted by retention, are
    not missing."""
    _compare(record, connections, _tick_topic(record), tally, last_step)


def compare_kafka_factors(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """The same of the topic of factors."""
    _compare(record, connections, _factor_topic(record), tally, last_step)


def _compare(record: MarketRecord, connections: Connections, topic: _Topic, tally: StageTally, last_step: int) -> None:
    kafka = connections.require_kafka()
    held = _held(kafka, topic)
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
            # One at a time finds the damaged ones; the ticks that they should have held show up as missing.
            for value, offset in zip(values, offsets, strict=True):
                try:
                    self._compare([value], [offset], retained_from)
                except MalformedMessage as problem:
                    self._reject(offset, problem)

    def finish(self) -> None:
        self._comparing(1).finish()

    def _compare(self, values: list[bytes], offsets: list[int], retained_from: int) -> None:
        columns = self._topic.stream.decode(values, self._partition)
        headers = [self._topic.peek(value) for value in values]
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
                series=self._topic.series,
            )
        return self._comparison

    def _place(self, offsets: list[int], ends: NDArray[np.int64]) -> Callable[[int], str]:
        def where(index: int) -> str:
            return self._at(offsets[int(np.searchsorted(ends, index, side="right"))])

        return where

    def _at(self, offset: int) -> str:
        return f"{self._topic.stream.topic} partition {self._partition} offset {offset}"

    def _reject(self, offset: int, problem: MalformedMessage) -> None:
        what = self._topic.series.what
        self._tally.unexpected += 1
        self._tally.note(
            Difference(
                stage=_STAGE,
                kind="unexpected",
                what=what,
                market=self._record.name,
                symbol=None,
                step=None,
                expected=f"{what}s",
                found=str(problem),
                where=self._at(offset),
            )
        )
