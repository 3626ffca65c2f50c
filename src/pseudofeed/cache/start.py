"""Where a cache worker begins with a partition, so that its quotes are fresh at once and its sessions exact.

The newest quotes are the topic's last messages. Open, high and low are of the whole session, so a worker that starts in
the middle of one must learn what came before. In this order: Redis itself, whose quotes say how far they are (another
worker's, or ours before a restart); the store, if there is one, by SQL; the topic, from the session's first message on.
What is found there is gone on from by reading; until the end of that, quotes stand as the last messages had them, and
without open, high and low. Where the topic has lost the session's beginning, they stay without until the next session.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import redis
from confluent_kafka import Message
from numpy.typing import NDArray

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.cache.keys import progress_key, quote_key
from pseudofeed.cache.quotes import NewestQuotes, SessionQuotes
from pseudofeed.cache.reader import QUOTE_FIELDS, parse_quotes
from pseudofeed.cache.stored import stored_session
from pseudofeed.consume import stream_of
from pseudofeed.errors import DamagedQuote, MalformedMessage
from pseudofeed.market.clock import Session
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections

__all__ = ["ColdStart", "Warmup"]

_log = logging.getLogger("pseudofeed.cache")


@dataclass(frozen=True, slots=True)
class Warmup:
    """offset: where to read a partition from. warm_at: the quotes are whole once every message before it was read."""

    offset: int
    warm_at: int


class ColdStart:
    """Puts what is known of some partitions into `quotes`, and says where to read on."""

    def __init__(
        self, record: MarketRecord, connections: Connections, client: redis.Redis, partition_of: NDArray[np.integer]
    ) -> None:
        self._record, self._connections, self._redis = record, connections, client
        self._stream = stream_of(record, TICK)
        self._topic = self._stream.topic
        self._partition_of = partition_of
        self._symbols = record.market.symbols

    def begin(self, quotes: NewestQuotes, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, Warmup]:
        """Raises redis.RedisError, ServerError where Kafka does not answer, MalformedMessage."""
        with TopicReader(self._connections.require_kafka()) as reader:
            tails = self._tails(topic, partitions, reader)
            return {
                p: self._begin(quotes, topic, p, *tails[p], reader) if p in tails else self._empty(topic, p)
                for p in partitions
            }

    def _empty(self, topic: TopicInfo, partition: int) -> Warmup:
        low = int(topic.low[partition])
        return Warmup(low, low)

    def _begin(
        self,
        quotes: NewestQuotes,
        topic: TopicInfo,
        partition: int,
        last: int,
        columns: Columns,
        reader: TopicReader,
    ) -> Warmup:
        numbers = np.flatnonzero(self._partition_of == partition)
        session = quotes.session(int(columns.sequence.max()))
        found = self._cached(topic, partition, numbers, session) or stored_session(
            self._connections, self._record, topic, partition, numbers, session
        )
        if found is None:
            offset = self._session_offset(topic, partition, session, last, int(columns.sequence.max()), reader)
        else:
            state, offset = found
            quotes.adopt(state)
        quotes.take(columns)
        # The last message is read again in any case: then a worker's summary says how far the topic is.
        return Warmup(min(offset, last), last + 1)

    def _tails(
        self, topic: TopicInfo, partitions: Sequence[int], reader: TopicReader
    ) -> dict[int, tuple[int, Columns]]:
        """By partition, if it has any message: the last messages, as many as have all of its instruments, and the last
        one's offset. A block has them all; of single ticks there are as many messages as instruments. Offsets may have
        gaps."""
        low, high = topic.low, topic.high
        found: dict[int, tuple[int, Columns]] = {}
        waiting = {p for p in partitions if low[p] < high[p]}
        back = 1
        while waiting:
            starts = {p: max(int(high[p]) - back, int(low[p])) for p in waiting}
            messages: dict[int, list[Message]] = {p: [] for p in waiting}
            for message in reader.read(self._topic, starts):
                messages[message.partition() or 0].append(message)
            for partition, start in starts.items():
                columns = self._decode(partition, messages[partition])
                instruments = np.count_nonzero(self._partition_of == partition)
                if len(np.unique(columns.number)) == instruments or start == low[partition]:
                    waiting.discard(partition)
                    if len(columns):
                        found[partition] = (messages[partition][-1].offset() or 0, columns)
            back *= 8
        return found

    def _decode(self, partition: int, messages: Sequence[Message]) -> Columns:
        """The ticks of those that can be read; of the others the worker tells when it comes to them."""
        values = [message.value() or b"" for message in messages]
        parts = []
        begin = 0
        while begin < len(values):
            end = len(values)
            try:
                parts.append(self._stream.codec.decode(values[begin:], partition))
            except MalformedMessage as problem:
                end = begin + (problem.index or 0) + 1
                parts.append(self._stream.codec.decode(values[begin : end - 1], partition))
            begin = end
        return Columns.concatenate(TICK, parts)

    def _cached(
        self, topic: TopicInfo, partition: int, numbers: NDArray[np.intp], session: Session
    ) -> tuple[SessionQuotes, int] | None:
        """What Redis has of the session, and the offset before which every message is in it."""
        keys = [quote_key(self._record.name, partition, self._symbols[number]) for number in numbers]
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(progress_key(self._record.name, partition), ["epoch", "topic_id", "next_offset"])
        for key in keys:
            pipeline.hmget(key, QUOTE_FIELDS)
        progress, *answers = pipeline.execute(raise_on_error=False)
        if not isinstance(progress, list):
            return None
        epoch, topic_id, offset = progress
        try:
            held = parse_quotes(keys, answers)
        except DamagedQuote as problem:
            _log.warning("%s", problem)
            return None
        if epoch != str(self._record.epoch) or topic_id != (topic.topic_id or "") or not str(offset).isdecimal():
            return None
        inside = (held.sequence >= session.first_step) & (held.sequence <= session.last_step)
        complete = len(held) == len(keys) and bool((inside & np.isfinite(held.open)).all())
        if not complete or not int(topic.low[partition]) <= int(offset) <= int(topic.high[partition]):
            return None
        state = SessionQuotes(
            numbers, held.sequence, held.time, held.price, held.variance, held.open, held.high, held.low
        )
        return state, int(offset)

    def _session_offset(
        self, topic: TopicInfo, partition: int, session: Session, last: int, last_step: int, reader: TopicReader
    ) -> int:
        """The first offset with a step of the session; `last` where the topic has lost that. Messages have much the
        same number of steps, so it is guessed by proportion, and halved between guesses."""

        def steps(offset: int) -> tuple[int, int, int]:
            """Of the first readable message at or behind the offset: its own offset, first and last step."""
            while offset < last:
                message = reader.first(self._topic, partition, offset)
                sequence = self._decode(partition, [message]).sequence
                if len(sequence):
                    return message.offset() or 0, int(sequence.min()), int(sequence.max())
                offset = (message.offset() or 0) + 1
            return last, last_step, last_step

        wanted = session.first_step
        offset, first, low_step = steps(int(topic.low[partition]))
        if offset == last:
            return last
        if first > wanted:
            _log.info(
                "topic %s partition %d does not reach back to the session's first step %d: its open, high and low are "
                "not known", self._topic, partition, wanted,
            )  # fmt: skip
            return last
        if low_step >= wanted:
            return offset
        # Messages up to `low` end before the session, and the one at or behind `high` does not.
        low, high, high_step = offset, last, last_step
        guessing = True
        while low + 1 < high:
            middle = (low + high) // 2
            if guessing and high_step > low_step:
                guess = low + round((wanted - low_step) / (high_step - low_step) * (high - low))
                middle = min(max(guess, low + 1), high - 1)
            guessing = not guessing
            offset, _, step = steps(middle)
            if step >= wanted:
                high, high_step = middle, step
            else:
                low, low_step = min(offset, high - 1), step
        return high
