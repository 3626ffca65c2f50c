"""How librdkafka's consumer is set up, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, TopicPartition

__all__ = ["open_consumer"]

# Everything that librdkafka wants to say goes here; without a handler of the user's nothing reaches the terminal.
_log = logging.getLogger("pseudofeed.consume")
_log.addHandler(logging.NullHandler())

# What a user's properties file may change.
_DEFAULTS: dict[str, str | int | bool] = {
    "client.id": "pseudofeed",
    # How long a killed worker's partitions wait for another one; 6 s is the least that brokers allow by default.
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_500,
    "fetch.wait.max.ms": 100,
}
# What the guarantees and the memory budget rest on.
_FIXED: dict[str, str | int | bool] = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    # Prefetch over all partitions. 200,000 ticks are 3.2 MB, so the next batches are there already.
    "queued.max.messages.kbytes": 16_384,
    "fetch.max.bytes": 8_000_000,
    # The default of 1 s stalls a consumer each time that its bounded queue was full.
    "fetch.queue.backoff.ms": 5,
}


def open_consumer(
    kafka: Mapping[str, str], group: str, on_commit: Callable[[KafkaError | None, list[TopicPartition]], None]
) -> Consumer:
    """A member of `group` that commits nothing by itself and is told where to read."""
    properties = {**_DEFAULTS, **kafka, **_FIXED, "group.id": group}
    return Consumer(properties, logger=_log, error_cb=lambda problem: _log.info("%s", problem), on_commit=on_commit)
