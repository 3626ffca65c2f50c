"""The topic against the simulation: each partition from its oldest message to its end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from pseudofeed.encode import decode_ticks, instrument_partitions, peek_ticks
from pseudofeed.errors import MalformedMessage
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.publish.reader import TopicReader
from pseudofeed.publish.topics import describe, tick_topic
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_kafka", "newest_kafka"]

_STAGE = "kafka"
# Messages that are decoded at once: a call's overhead vanishes, and their ticks stay within some tens of MB.
_MESSAGES = 64


def newest_kafka(record: MarketRecord, connections: Connections) -> int:
    """The newest step of any partition; 0 where the topic is empty.

    Looked for in the last messages, not only the last: what stands there may be damaged, repeated, or of no feed of
    this market, and that is for `compare_kafka` to say.
    """
    kafka, topic = connections.require_kafka(), tick_topic(record.name)
    state = describe(kafka, topic)
    most, back = int((state.high - state.low).max()), _MESSAGES
    with TopicReader(kafka) as reader:
        while True:
            starts = {p: max(int(state.low[p]), int(state.high[p]) - back) for p in range(record.partitions)}
            newest = max((_last_step(record, message) for message in reader.read(topic, starts)), default=0)
            if newest or back >= most:
                return newest
            back *= 8


def _last_step(record: MarketRecord, message: Message) -> int:
    """0 where it has no ticks of this market and partition."""
    try:
        header = peek_ticks(message.value() or b"")
    except MalformedMessage:
        return 0
    ours = header.fingerprint == record.fingerprint and header.partition in (None, message.partition())
    return header.last_step if ours else 0


def compare_kafka(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare all that the topic holds. Steps before a partition's oldest message, deleted by retention, are not
    missing."""
    kafka, topic = connections.require_kafka(), tick_topic(record.name)
    low = describe(kafka, topic).low
    partition_of = instrument_partitions(record.market.symbols, record.partitions)
    with TopicReader(kafka) as reader:
        for partition in range(record.partitions):
            start = int(low[partition])
            check = _Partition(record, topic, partition, np.flatnonzero(partition_of == partition), tally, last_step)
            batch: list[Message] = []
            for message in reader.read(topic, {partition: start}):
                batch.append(message)
                if len(batch) == _MESSAGES:
                    check.add(batch, retained_from=start)
                    batch = []
            check.add(batch, retained_from=start)
            check.finish()


class _Partition:
    """One partition's messages, decoded and compared."""

    def __init__(
        self,
        record: MarketRecord,
        topic: str,
        partition: int,
        members: NDArray[np.int64],
        tally: StageTally,
        last_step: int,
    ) -> None:
        self._record, self._topic, self._partition = record, topic, partition
        self._members, self._tally, self._last_step = members, tally, last_step
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
        columns = decode_ticks(values, fingerprint=self._record.fingerprint, partition=self._partition)
        first_step = peek_ticks(values[0]).first_step if retained_from > 0 else 1
        ends = np.cumsum([peek_ticks(value).ticks for value in values])
        self._comparing(first_step).add(columns, self._place(offsets, ends))

    def _comparing(self, first_step: int) -> Comparison:
        """The comparison, from the step of the oldest message on."""
        if self._comparison is None:
            self._comparison = Comparison(
                self._record.market,
                self._members,
                stage=_STAGE,
                tally=self._tally,
                first_step=first_step,
                last_step=self._last_step,
            )
        return self._comparison

    def _place(self, offsets: list[int], ends: NDArray[np.int64]) -> Callable[[int], str]:
        def where(index: int) -> str:
            return self._at(offsets[int(np.searchsorted(ends, index, side="right"))])

        return where

    def _at(self, offset: int) -> str:
        return f"{self._topic} partition {self._partition} offset {offset}"

    def _reject(self, offset: int, problem: MalformedMessage) -> None:
        self._tally.unexpected += 1
        self._tally.note(
            Difference(
                stage=_STAGE,
                kind="unexpected",
                market=self._record.name,
                symbol=None,
                step=None,
                expected="ticks",
                found=str(problem),
                where=self._at(offset),
            )
        )
