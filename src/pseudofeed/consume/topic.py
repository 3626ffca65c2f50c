"""The topic that a worker reads: waited for at the start, and checked regularly, in case it was deleted and recreated.

A topic that was deleted and recreated under its old name has other ticks at the old offsets. Brokers give each topic
an id for that purpose. If there is none (librdkafka's mock cluster), it is None and only the range of offsets can be
checked.
"""

from __future__ import annotations

import contextlib
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor

from pseudofeed.bus.topics import TopicInfo, describe
from pseudofeed.consume.stream import Stream
from pseudofeed.errors import ServerError, TopicError
from pseudofeed.operate.control import Control

__all__ = ["WatchedTopic"]

_log = logging.getLogger("pseudofeed.consume")

WAIT_SECONDS = 30.0
CHECK_SECONDS = 5.0


class WatchedTopic:
    """A topic of a market, which must stay the same topic as at first."""

    def __init__(self, kafka: dict[str, str], stream: Stream) -> None:
        self.name = stream.topic
        self._kafka, self._stream = kafka, stream
        self._id: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pseudofeed-topic")
        self._checking: Future[TopicInfo] | None = None
        self._checked_at = 0.0

    def wait_for(self, control: Control) -> bool:
        """Wait until the topic exists (the feed creates it). Returns False if asked to stop before that, or to drain an
        optional topic that does not exist. Raises TopicError if it does not appear, or has another number of
        partitions."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not control.stopping:
            try:
                state = describe(self._kafka, self.name)
            except (TopicError, ServerError):  # a broker that answered a moment ago may be away for another
                if self._stream.optional:
                    if control.draining:
                        return False
                elif time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
                continue
            if len(state.high) != self._stream.partitions:
                raise TopicError(
                    f"topic {self.name} has {len(state.high)} partitions, but it must have {self._stream.partitions}, "
                    f"as its market was registered: partitions must not be added to a market's topic"
                )
            self._id = state.topic_id
            self._checked_at = time.monotonic()
            return True
        return False

    def describe(self) -> TopicInfo:
        """Its offsets now. Raises TopicError if it was deleted or recreated, ServerError if Kafka does not answer."""
        try:
            state = describe(self._kafka, self.name)
        except TopicError:
            raise TopicError(
                f"topic {self.name} was deleted while it was read: what was written from it cannot be continued"
            ) from None
        if state.topic_id != self._id:
            raise TopicError(
                f"topic {self.name} was deleted and recreated (its id was {self._id}, now it is {state.topic_id}) "
                f"while it was read: what was written from the old one cannot be continued"
            )
        return state

    def check_soon(self) -> None:
        """Check soon, because something looks wrong, instead of at the next regular time."""
        self._checked_at = 0.0

    def check(self) -> None:
        """Call often: the topic is checked every few seconds, in a thread. Raises TopicError if it was deleted or
        recreated.
        """
        now = time.monotonic()
        if self._checking is None and now - self._checked_at > CHECK_SECONDS:
            self._checked_at = now
            self._checking = self._thread.submit(self.describe)
        elif self._checking is not None and self._checking.done():
            checking, self._checking = self._checking, None
            with contextlib.suppress(ServerError):
                checking.result()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
