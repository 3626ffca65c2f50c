"""What a user's Kafka properties can't change: the guarantees, however a property is spelled, and limits that must fit
each other.

Some properties of librdkafka have two names, and it takes the value that is set last:
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

from collections.abc import Mapping

from pseudofeed.errors import SettingsError

__all__ = ["consumer_limits", "require"]

_SPELLINGS = {"acks": ("acks", "request.required.acks")}
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")  # in any case of letters
_ALL = ("all", "-1")
_PROTOCOL_BYTES = 512  # what an answer may have beside its messages


def require(kafka: Mapping[str, str], name: str, value: str, reason: str) -> None:
    """Raise SettingsError if the user's properties give `name`, under any of its names, another value."""
    for spelling in _SPELLINGS.get(name, (name,)):
        if spelling in kafka and not _same(kafka[spelling], value):
            raise SettingsError(f"Kafka property {spelling}={kafka[spelling]} can't be set: {reason}; leave it out")


def consumer_limits(kafka: Mapping[str, str], fetch_bytes: int) -> dict[str, int]:
    """The sizes of a consumer's fetches: `fetch_bytes`, or more if the user's `message.max.bytes` is larger. librdkafka
    rejects a fetch below that, and an answer that is not larger than a fetch."""
    fetch = max(fetch_bytes, _whole(kafka, "message.max.bytes", 0))
    limits = {"fetch.max.bytes": fetch}
    if "receive.message.max.bytes" in kafka:
        given = _whole(kafka, "receive.message.max.bytes", 0)
        limits["receive.message.max.bytes"] = max(given, fetch + _PROTOCOL_BYTES)
    return limits


def _same(given: str, value: str) -> bool:
    alike = next((values for values in (_TRUE, _FALSE, _ALL) if value in values), (value,))
    return given.strip().lower() in alike


def _whole(kafka: Mapping[str, str], name: str, default: int) -> int:
    text = kafka.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"Kafka property {name}={text}: it must be a whole number of bytes") from None
