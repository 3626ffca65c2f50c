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

from pseudofeed.cache.keys import progress_key, quote_key
from pseudofeed.cache.quotes import NewestQuotes, SessionState
from pseudofeed.cache.reader import QUOTE_FIELDS, parse_quotes
from pseudofeed.cache.stored import stored_session
from pseudofeed.clock import Session
from pseudofeed.encode import TickColumns, decode_ticks
from pseudofeed.errors import DamagedQuote, MalformedMessage
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.publish.reader import TopicReader
from pseudofeed.publish.topics import TopicState, tick_topic
from pseudofeed.settings import Connections

__all__ = ["Beginning", "ColdStart"]

_log = logging.getLogger("pseudofeed.cache")


@dataclass(frozen=True, slots=True)
class Beginning:
    """offset: where to read a partition from. warm_at: the quotes are whole once every message before it was read."""

    offset: int
    warm_at: int


class ColdStart:
    """Puts what is known of some partitions into `quotes`, and says where to read on."""

    def __init__(
        self, record: MarketRecord, connections: Connections, client: redis.Redis, partition_of: NDArray[np.integer]
    ) -> None:
        self._record, self._connections, self._redis = record, connections, client
        self._topic = tick_topic(record.name)
        self._partition_of = partition_of
        self._symbols = record.market.symbols

    def begin(self, quotes: NewestQuotes, topic: TopicState, partitions: Sequence[int]) -> Mapping[int, Beginning]:
        """Raises redis.RedisError, ServerError where Kafka does not answer, MalformedMessage."""
        with TopicReader(self._connections.require_kafka()) as reader:
            return {partition: self._begin(quotes, topic, partition, reader) for partition in partitions}

    def _begin(self, quotes: NewestQuotes, topic: TopicState, partition: int, reader: TopicReader) -> Beginning:
        numbers = np.flatnonzero(self._partition_of == partition)
        last, columns = self._tail(topic, partition, len(numbers), reader)
        if not len(columns):
            low = int(topic.low[partition])
            return Beginning(low, low)
        session = quotes.session(int(columns.sequence.max()))
        found = self._cached(topic, partition, numbers, session) or stored_session(
            self._connections, self._record, topic, partition, numbers, session
        )
        if found is None:
            offset = self._session_offset(topic, partition, session, last, reader)
        else:
            state, offset = found
            quotes.adopt(state)
        quotes.take(columns)
        # The last message is read again in any case: then a worker's summary says how far the topic is.
        return Beginning(min(offset, last), last + 1)

    def _tail(
        self, topic: TopicState, partition: int, instruments: int, reader: TopicReader
    ) -> tuple[int, TickColumns]:
        """The partition's last messages, as many as have all of its instruments, and the last one's offset.

        A block has them all; of single ticks there are as many messages as instruments. Offsets may have gaps.
        """
        low, high = int(topic.low[partition]), int(topic.high[partition])
        back = 1
        while low < high:
            start = max(high - back, low)
            messages = list(reader.read(self._topic, {partition: start}))
            columns = self._decode(partition, messages)
            if len(np.unique(columns.instrument)) == instruments or start == low:
                return (messages[-1].offset() or 0) if messages else low, columns
            back *= 8
        return low, TickColumns.empty()

    def _decode(self, partition: int, messages: Sequence[Message]) -> TickColumns:
        try:
            return decode_ticks(
                [message.value() or b"" for message in messages],
                fingerprint=self._record.fingerprint,
                partition=partition,
            )
        except MalformedMessage as problem:
            at = messages[problem.index or 0].offset()
            raise MalformedMessage(f"topic {self._topic} partition {partition} offset {at}: {problem}") from None

    def _cached(
        self, topic: TopicState, partition: int, numbers: NDArray[np.intp], session: Session
    ) -> tuple[SessionState, int] | None:
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
        state = SessionState(
            numbers, held.sequence, held.time, held.price, held.variance, held.open, held.high, held.low
        )
        return state, int(offset)

    def _session_offset(
        self, topic: TopicState, partition: int, session: Session, last: int, reader: TopicReader
    ) -> int:
        """The first offset with a step of the session, found by halving; `last` where the topic has lost that."""

        def steps(offset: int) -> tuple[int, int, int]:
            """Of the first message at or behind the offset: its own offset, first and last step."""
            message = next(iter(reader.read(self._topic, {partition: offset})))
            sequence = self._decode(partition, [message]).sequence
            return message.offset() or 0, int(sequence.min()), int(sequence.max())

        low, high = int(topic.low[partition]), last
        if steps(low)[1] > session.first_step:
            _log.info(
                "topic %s partition %d does not reach back to the session's first step %d: its open, high and low are "
                "not known", self._topic, partition, session.first_step,
            )  # fmt: skip
            return last
        while low < high:
            middle = (low + high) // 2
            offset, _, last_step = steps(middle)
            if last_step >= session.first_step:
                high = middle
            else:
                low = offset + 1
        return high
