"""Which Kafka properties of a user a producer takes."""

from __future__ import annotations

import pytest

from pseudofeed.errors import SettingsError
from pseudofeed.publish._publish import MockCluster
from unit.test_producer import assert_holds, cluster, make_block, make_producer, read_ticks

__all__ = ["cluster"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.idempotence", "false"),
        ("enable.idempotence", "F"),
        ("acks", "1"),
        ("request.required.acks", "0"),
        ("enable.gapless.guarantee", "0"),
    ],
)
def test_the_guarantees_cannot_be_switched_off(cluster: MockCluster, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"Kafka property {name}={value} can't be set: .*; leave it out"):
        make_producer(cluster, {name: value})


def test_the_guarantees_may_be_spelled_out(cluster: MockCluster) -> None:
    given = {
        "enable.idempotence": "True",
        "request.required.acks": "-1",
        "acks": "ALL",
        "enable.gapless.guarantee": "1",
    }
    with make_producer(cluster, given) as producer:
        producer.publish(make_block(1, 3))
    assert_holds(read_ticks(cluster), [make_block(1, 3)])


def test_settings_that_do_not_work_are_named_and_secrets_are_not_shown(cluster: MockCluster) -> None:
    with pytest.raises(SettingsError, match=r"compression\.typ:"):
        make_producer(cluster, {"compression.typ": "lz4"})
    with pytest.raises(SettingsError, match=r"transactional\.id"):
        make_producer(cluster, {"transactional.id": "x"})
    with pytest.raises(SettingsError) as refused:
        make_producer(cluster, {"ssl.key.pem": "marker-secret", "security.protocol": "ssl"})
    assert "ssl.key" in str(refused.value) or "SSL" in str(refused.value)
    assert "marker-secret" not in str(refused.value)
