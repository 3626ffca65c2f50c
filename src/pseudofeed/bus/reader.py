"""Reads topics: a consumer that joins no group, commits nothing, and reads the present messages, up to the end.

The market records, resuming a feed, and verify use this; the sinks have a loop of their own (consume/).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

import numpy as np
from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from numpy.typing import NDArray

from pseudofeed.bus.clients import TIMEOUT, server_error, silent_logger

__all__ = ["TopicReader"]

_NO_LEADER = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
)


class TopicReader:
    """Reads topics as they are now. A context manager. Raises ServerError if the server does not answer in
    time."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        self._kafka = kafka
        own = {
            "group.id": "pseudofeed-reader",  # librdkafka requires one; no group is joined, and nothing is committed
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
            "check.crcs": True,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,  # the end is only reported when an empty fetch returns
        }
        try:
            self._consumer = Consumer({"client.id": "pseudofeed-reader", **kafka, **own}, logger=silent_logger())
        except KafkaException as error:
            raise server_error(kafka, "can't be used", error) from None

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 if there is no such topic."""
        try:
            found = self._consumer.list_topics(topic, timeout=TIMEOUT).topics[topic]
        except KafkaException as error:
            raise server_error(self._kafka, f"does not describe topic {topic}", error) from None
        if found.error is None:
            return len(found.partitions)
        if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return 0
        raise server_error(self._kafka, f"does not describe topic {topic}", found.error)

    def watermarks(self, topic: str, partitions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(P,) int64 each: the first offset there is, and the next one to be written."""
        marks = [self._watermarks(topic, p) for p in range(partitions)]
        low, high = np.array(marks, dtype=np.int64).reshape(-1, 2).T.copy()
        return low, high

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT)
                return int(low), int(high)
            except KafkaException as error:
                # A new topic's partitions, and those of a broker that restarts, are without a leader for a moment.
                if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                    raise server_error(self._kafka, f"does not report the ends of topic {topic}", error) from None
            time.sleep(0.05)

    def read(self, topic: str, starts: Mapping[int, int]) -> Iterator[Message]:
        """The messages of some partitions from these offsets to the end that each has when it is reached.

        Order is kept within a partition. Offsets may have gaps, so the end is where the broker says it is.
        """
        self._consumer.assign([TopicPartition(topic, p, start) for p, start in starts.items()])
        try:
            waiting = set(starts)
            deadline = time.monotonic() + TIMEOUT
            while waiting:
                # It waits for all 500, or so long: at a topic's end, where the last look of a short read always is.
                for message in self._consumer.consume(500, timeout=0.03):
                    deadline = time.monotonic() + TIMEOUT
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        waiting.discard(message.partition())
                    else:
                        raise server_error(self._kafka, f"can't read topic {topic}", error)
                if time.monotonic() > deadline:
                    raise server_error(self._kafka, f"can't read topic {topic}", f"no data for {TIMEOUT:g} s")
        finally:
            self._consumer.unassign()

    def first(self, topic: str, partition: int, offset: int) -> Message:
        """The first message at or after the offset; there must be one. Does not wait for more, or for the end."""
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        try:
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                message = self._consumer.poll(0.2)
                error = None if message is None else message.error()
                if message is not None and error is None:
                    return message
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise server_error(self._kafka, f"can't read topic {topic}", error)
            raise server_error(self._kafka, f"can't read topic {topic}", f"no data for {TIMEOUT:g} s")
        finally:
            self._consumer.unassign()

    def is_mock(self) -> bool:
        """Whether this is librdkafka's mock cluster, which answers no administrative requests and ignores them."""
        try:
            return str(self._consumer.list_topics(timeout=TIMEOUT).cluster_id).startswith("mockCluster")
        except KafkaException as error:
            raise server_error(self._kafka, "does not answer", error) from None

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
