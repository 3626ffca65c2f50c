"""The topics: their names and settings, and how they are created and described.

A single tick's record carries its event time unless that is long past, and a market's time has little to do with the
broker's clock: it may run years ahead. So topics of records keep everything (`retention.ms` would delete by event
time), accept every timestamp (Kafka 4 refuses those more than an hour ahead), and never start a new segment because of
event time (each message of a daily market would get its own). Of a checkpoint only the newest counts: its topic is
compacted, with segments so short that the broker does compact it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined, unused-ignore]
from numpy.typing import NDArray

from pseudofeed.bus.clients import TIMEOUT, admin_client, server_error
from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode import partition_count
from pseudofeed.errors import TopicError
from pseudofeed.market import Market
from pseudofeed.records import Kind, Shape, kinds_of

__all__ = [
    "MARKETS_TOPIC",
    "MARKETS_TOPIC_CONFIG",
    "RECORD_BYTES",
    "TopicInfo",
    "check_broker",
    "delete_topic",
    "describe",
    "ensure_market_topics",
    "ensure_topic",
    "topic_config",
]

MARKETS_TOPIC = "pseudofeed.markets"
RECORD_BYTES = 64 << 20
"""The largest market record: a listed instrument takes about 120 bytes, half of it after compression."""

MARKETS_TOPIC_CONFIG = {"cleanup.policy": "compact", "max.message.bytes": str(RECORD_BYTES)}

_FOR_EVER = str(2**63 - 1)
_ANY_TIME = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _FOR_EVER,
    "message.timestamp.after.max.ms": _FOR_EVER,
}
_RECORDS = {"cleanup.policy": "delete", "retention.ms": "-1", "segment.ms": _FOR_EVER, **_ANY_TIME}
_CHECKPOINT = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20), **_ANY_TIME}
# Brokers before 3.6 do not know the last two, nor do they need them.
_SINCE_3_6 = ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms")

# Waiting does not help against these.
_HOPELESS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """topic_id: the broker's id, which changes when a topic is deleted and recreated; None if the broker has
    none (the mock cluster). low, high: (P,) int64, the first offset there is and the next one to be
    written."""

    topic_id: str | None
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def topic_config(kind: Kind) -> dict[str, str]:
    """The settings of a topic with records of that kind."""
    return dict(_CHECKPOINT if kind.shape is Shape.CHECKPOINT else _RECORDS)


def check_broker(kafka: Mapping[str, str], *, timeout: float = 5.0) -> None:
    """Return once the server answers. Raises ServerError after `timeout` seconds, or at once if it rejects us."""
    errors: list[KafkaError] = []
    # Refused connections are tried again soon, so that a server that is just starting is found within the timeout.
    admin = admin_client(kafka, error_cb=errors.append, **{"reconnect.backoff.max.ms": 500})
    deadline = time.monotonic() + timeout
    while True:
        try:
            admin.list_topics(timeout=0.3)
            return
        except KafkaException as error:
            last: KafkaError = error.args[0]
        admin.poll(0)
        if hopeless := [error for error in errors if error.code() in _HOPELESS]:
            raise server_error(kafka, "refuses the connection", hopeless[-1])
        if time.monotonic() > deadline:
            # "All brokers are down" and "timed out" say less than what went wrong with one of them.
            telling = [error for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN]
            raise server_error(kafka, "does not answer", telling[-1] if telling else last)


def ensure_topic(kafka: Mapping[str, str], name: str, partitions: int, config: Mapping[str, str]) -> None:
    """Create the topic unless it exists. Raises TopicError if it exists with another number of partitions.

    The config is used for a new topic only. It gets the broker's default replication.
    """
    with TopicReader(kafka) as reader:
        found = reader.partitions(name)
        if found == 0:
            _create(kafka, name, partitions, dict(config))
            found = _wait_for(reader, name, partitions)
    if found != partitions:
        raise TopicError(
            f"topic {name} has {found} partitions, not {partitions}, and where an instrument's ticks are depends on "
            "that number: use as many, or drop the market and its topic"
        )


def ensure_market_topics(kafka: Mapping[str, str], market: Market, partitions: int) -> None:
    """The topic of every kind of record that a market has, as `ensure_topic` makes it. partitions: of its ticks."""
    for kind in kinds_of(market):
        ensure_topic(kafka, kind.topic_of(market.name), partition_count(kind, partitions), topic_config(kind))


def _create(kafka: Mapping[str, str], name: str, partitions: int, config: dict[str, str]) -> None:
    admin = admin_client(kafka)
    try:
        topic = NewTopic(name, num_partitions=partitions, replication_factor=-1, config=config)
        admin.create_topics([topic], operation_timeout=TIMEOUT, request_timeout=TIMEOUT)[name].result(TIMEOUT + 5)
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.INVALID_CONFIG and _SINCE_3_6[0] in config:
            older = {key: value for key, value in config.items() if key not in _SINCE_3_6}
            _create(kafka, name, partitions, older)
        elif code != KafkaError.TOPIC_ALREADY_EXISTS:  # another program was faster, which is fine
            raise server_error(kafka, f"can't create topic {name}", error) from None


def _wait_for(reader: TopicReader, name: str, partitions: int) -> int:
    """A new topic is not known to every broker at once."""
    deadline = time.monotonic() + TIMEOUT
    while (found := reader.partitions(name)) != partitions and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def delete_topic(kafka: Mapping[str, str], name: str) -> None:
    """Delete a topic and its data and wait until it is gone; nothing happens if there is none."""
    admin = admin_client(kafka)
    try:
        admin.delete_topics([name], operation_timeout=TIMEOUT, request_timeout=TIMEOUT)[name].result(TIMEOUT + 5)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise server_error(kafka, f"can't delete topic {name}", error) from None
    with TopicReader(kafka) as reader:
        _wait_for(reader, name, 0)


def describe(kafka: Mapping[str, str], topic: str) -> TopicInfo:
    """What the topic is now. TopicError if there is none."""
    with TopicReader(kafka) as reader:
        partitions = reader.partitions(topic)
        if partitions == 0:
            raise TopicError(f"there is no topic {topic}: the market has not been fed yet, or was dropped")
        low, high = reader.watermarks(topic, partitions)
        is_mock = reader.is_mock()
    return TopicInfo(None if is_mock else _topic_id(kafka, topic), low, high)


def _topic_id(kafka: Mapping[str, str], topic: str) -> str:
    admin = admin_client(kafka)
    try:
        found = admin.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT)[topic].result(TIMEOUT + 5)
    except KafkaException as error:
        raise server_error(kafka, f"does not report the id of topic {topic}", error) from None
    return str(found.topic_id)
