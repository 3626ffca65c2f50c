"""The settings of librdkafka's consumer, and the reasons for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition, libversion

from pseudofeed.bus.properties import consumer_limits
from pseudofeed.errors import SettingsError

__all__ = ["consumer_properties", "open_consumer"]

# librdkafka's log messages go here; without a handler of the user's, nothing is printed.
_log = logging.getLogger("pseudofeed.consume")
_log.addHandler(logging.NullHandler())

# Defaults that a user's properties file may change.
_DEFAULTS: dict[str, str | int | bool] = {"client.id": "pseudofeed", "fetch.wait.max.ms": 100}
_CLASSIC_DEFAULTS: dict[str, str | int | bool] = {
    # How long a killed worker's partitions wait for another one; brokers allow no less than 6 s by default.
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_500,
}
# The guarantees and the memory budget depend on these.
_FIXED: dict[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    # Prefetch over all partitions. 200,000 ticks are 3.2 MB, so the next batches are already in memory.
    "queued.max.messages.kbytes": 16_384,
    # The default of 1 s stalls a consumer each time that its bounded queue was full.
    "fetch.queue.backoff.ms": 5,
}
_FETCH_BYTES = 8_000_000
_CLASSIC_FIXED: dict[str, str | int | bool] = {"partition.assignment.strategy": "cooperative-sticky"}

# With KIP-848's protocol the broker has these: group.consumer.session.timeout.ms (45 s by default) and its fellows.
_BROKERS_OWN = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")
_CONSUMER_PROTOCOL_SINCE = 0x020F0000  # before librdkafka 2.15 its groups sometimes stalled for minutes


def consumer_properties(kafka: Mapping[str, str], group: str) -> dict[str, str | int | bool]:
    """Defaults, then the user's, then the required ones. Raises SettingsError for an unusable group protocol."""
    protocol = kafka.get("group.protocol", "classic")
    fixed = {**_FIXED, **consumer_limits(kafka, _FETCH_BYTES)}
    if protocol == "classic":
        return {**_DEFAULTS, **_CLASSIC_DEFAULTS, **kafka, **fixed, **_CLASSIC_FIXED, "group.id": group}
    if protocol != "consumer":
        raise SettingsError(f"Kafka property group.protocol is {protocol!r}; it must be classic or consumer")
    version, number = libversion()
    if number < _CONSUMER_PROTOCOL_SINCE:
        raise SettingsError(
            f"Kafka property group.protocol=consumer needs librdkafka 2.15 or later, and this is {version}: use "
            "group.protocol=classic, or install a newer confluent-kafka"
        )
    if wrong := [name for name in _BROKERS_OWN if name in kafka]:
        raise SettingsError(
            f"Kafka property {wrong[0]} can't be set with group.protocol=consumer, because the broker decides it then: "
            "take it out, or use group.protocol=classic"
        )
    return {**_DEFAULTS, **kafka, **fixed, "group.id": group}


def open_consumer(
    kafka: Mapping[str, str], group: str, on_commit: Callable[[KafkaError | None, list[TopicPartition]], None]
) -> Consumer:
    """A member of `group` that commits nothing by itself and reads from given offsets."""
    properties = consumer_properties(kafka, group)
    try:
        return Consumer(properties, logger=_log, error_cb=lambda problem: _log.info("%s", problem), on_commit=on_commit)
    except KafkaException as problem:
        raise SettingsError(f"the consumer of group {group} can't be created: {problem.args[0].str()}") from None
