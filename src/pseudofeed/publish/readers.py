"""Makes a feed wait for its readers, for servers that drop messages before they are read.

librdkafka's mock cluster keeps 5 MiB per partition and drops older messages silently. So a feed into it must not run
ahead of the slowest consumer group by more than a fraction of that. A group's progress is its committed offsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    Consumer,
    KafkaException,
    TopicPartition,
)
from numpy.typing import NDArray

from pseudofeed.bus.clients import TIMEOUT, server_error, silent_logger
from pseudofeed.publish.producer import PartitionCounts

__all__ = ["LEAD_BYTES", "Readers"]

LEAD_BYTES = 2 << 20
"""How many bytes a partition's slowest reader may be behind: the mock cluster keeps 5 MiB."""


class Readers:
    """The consumer groups that a feed waits for. `offsets`: (P,), the topic's ends when the feed began."""

    def __init__(self, kafka: Mapping[str, str], topic: str, groups: Sequence[str], offsets: NDArray[np.int64]) -> None:
        self._kafka = kafka
        self._partitions = [TopicPartition(topic, p) for p in range(len(offsets))]
        self._offsets = offsets
        # A consumer that never joins its group: it only asks the coordinator for the committed offsets.
        self._consumers = {
            group: Consumer({**kafka, "group.id": group, "enable.auto.commit": False}, logger=silent_logger())
            for group in groups
        }
        self._read = np.zeros(len(offsets), dtype=np.int64)
        self._sent: list[PartitionCounts] = []

    def keep_up(self, sent: PartitionCounts) -> bool:
        """Whether the slowest reader of each partition is less than LEAD_BYTES behind what was sent."""
        if not self._sent or (self._sent[-1].messages != sent.messages).any():
            self._sent.append(sent)
        if (self._unread(sent) <= LEAD_BYTES).all():
            return True
        self._look()
        return bool((self._unread(sent) <= LEAD_BYTES).all())

    def _unread(self, sent: PartitionCounts) -> NDArray[np.int64]:
        """(P,) bytes, rounded up to whole batches of the feed."""
        read = np.zeros_like(sent.bytes)
        for earlier in self._sent:
            read = np.where(earlier.messages <= self._read, earlier.bytes, read)
        return np.asarray(sent.bytes - read)

    def _look(self) -> None:
        slowest = np.full(len(self._offsets), np.iinfo(np.int64).max)
        for group, consumer in self._consumers.items():
            try:
                committed = consumer.committed(self._partitions, timeout=TIMEOUT)
            except KafkaException as error:
                raise server_error(self._kafka, f"does not report the progress of group {group}", error) from None
            # A partition without a commit has a negative offset: nothing was read.
            slowest = np.minimum(slowest, [partition.offset for partition in committed])
        self._read = np.maximum(slowest - self._offsets, 0)
        # Entries that every reader has passed in every partition are no longer needed, except the newest one.
        passed = sum(bool((sent.messages <= self._read).all()) for sent in self._sent)
        del self._sent[: max(0, passed - 1)]

    def close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()
