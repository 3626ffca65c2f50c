"""What the consumer's protocol changes of its properties."""

from __future__ import annotations

import pytest

from pseudofeed.consume import consumer
from pseudofeed.consume.consumer import consumer_properties, open_consumer
from pseudofeed.errors import SettingsError

GUARANTEES = {"enable.auto.commit": False, "auto.offset.reset": "error", "check.crcs": True}


def test_the_classic_protocol_is_the_default_and_its_assignor_is_ours() -> None:
    found = consumer_properties({"partition.assignment.strategy": "range", "auto.offset.reset": "latest"}, "g")
    assert found.items() >= {**GUARANTEES, "partition.assignment.strategy": "cooperative-sticky"}.items()
    assert found["session.timeout.ms"] == 6_000
    assert consumer_properties({"session.timeout.ms": "9000"}, "g")["session.timeout.ms"] == "9000"


def test_the_brokers_protocol_has_none_of_what_the_broker_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    found = consumer_properties({"group.protocol": "consumer"}, "g")
    assert found.items() >= {**GUARANTEES, "group.protocol": "consumer", "group.id": "g"}.items()
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & found.keys()
    with pytest.raises(SettingsError, match=r"session\.timeout\.ms can't be set with group\.protocol=consumer"):
        consumer_properties({"group.protocol": "consumer", "session.timeout.ms": "6000"}, "g")
    with pytest.raises(SettingsError, match="'streams'; it must be classic or consumer"):
        consumer_properties({"group.protocol": "streams"}, "g")
    monkeypatch.setattr(consumer, "libversion", lambda: ("2.14.0", 0x020E00FF))
    with pytest.raises(SettingsError, match=r"needs librdkafka 2\.15 or later, and this is 2\.14\.0"):
        consumer_properties({"group.protocol": "consumer"}, "g")


def test_larger_messages_make_larger_fetches() -> None:
    assert consumer_properties({}, "g")["fetch.max.bytes"] == 8_000_000
    found = consumer_properties({"message.max.bytes": "16777216", "receive.message.max.bytes": "10000000"}, "g")
    assert (found["fetch.max.bytes"], found["receive.message.max.bytes"]) == (16_777_216, 16_777_216 + 512)
    kafka = {"bootstrap.servers": "127.0.0.1:1", "message.max.bytes": "16777216"}
    open_consumer(kafka, "g", lambda _problem, _partitions: None).close()
    with pytest.raises(SettingsError, match=r"Kafka property message\.max\.bytes=much: it must be a whole number"):
        consumer_properties({"message.max.bytes": "much"}, "g")


def test_what_librdkafka_rejects_is_one_message() -> None:
    kafka = {"bootstrap.servers": "127.0.0.1:1", "max.poll.interval.ms": "1000"}
    with pytest.raises(SettingsError, match=r"the consumer of group g can't be created: .*max\.poll\.interval\.ms"):
        open_consumer(kafka, "g", lambda _problem, _partitions: None)
