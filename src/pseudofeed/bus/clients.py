"""Creates Kafka's clients, and words their errors.

librdkafka's log lines are dropped: important ones are also errors, and a library must not write to the user's terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    KafkaError,
    KafkaException,
)
from confluent_kafka.admin import AdminClient

from pseudofeed.errors import ServerError

__all__ = ["TIMEOUT", "admin_client", "server_error", "silent_logger"]

TIMEOUT = 10.0
"""Seconds that one request, or the next message, may take."""


def silent_logger() -> logging.Logger:
    """For confluent-kafka's clients: swallows librdkafka's log lines."""
    logger = logging.Logger("pseudofeed.librdkafka", level=logging.CRITICAL + 1)
    logger.addHandler(logging.NullHandler())
    return logger


def admin_client(kafka: Mapping[str, str], **options: Any) -> AdminClient:
    """An AdminClient. Keep it as long as the futures that it returns: they hang without it."""
    try:
        return AdminClient({"client.id": "pseudofeed-admin", **kafka, **options}, logger=silent_logger())
    except KafkaException as error:
        raise server_error(kafka, "can't be used", error) from None


def server_error(kafka: Mapping[str, str], what: str, error: KafkaException | KafkaError | str) -> ServerError:
    """ServerError naming the server, what went wrong, librdkafka's reason, and the setting."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    reason = error.str() if isinstance(error, KafkaError) else str(error)
    return ServerError(
        f"Kafka at {kafka.get('bootstrap.servers', '(no bootstrap.servers)')} {what}: {reason}. "
        "PSEUDOFEED_KAFKA names the server; `pseudofeed servers up` starts one on this machine"
    )
