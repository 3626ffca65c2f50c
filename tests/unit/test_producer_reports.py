"""Delivery reports that overtake one another: counts, acknowledged steps and errors stay those of each message.

The mock cluster checks no sequence numbers, so an idempotent producer would take a refused request for written once a
later one is; without idempotence a request that is tried again is acknowledged behind those that came after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pseudofeed.errors import PublishError
from pseudofeed.publish import producer as producing
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.producer import Producer
from unit.test_producer import MSG_SIZE_TOO_LARGE, PRODUCE, cluster, each, make_block, make_producer

__all__ = ["cluster"]

NO_ERROR, REQUEST_TIMED_OUT = 0, 7  # the second is tried again
MEMBERS = 7  # instruments of partition 0


def one_request_a_message(cluster: MockCluster, mode: str) -> Producer:
    """Of ten steps in mode block. All requests are under way before the first is answered (what is to be tried again
    holds back what was not sent yet), and none is tried again before some 2 s: time to look at what is acknowledged
    meanwhile, on a busy machine too."""
    properties = {"batch.num.messages": "1"}
    properties |= {"retry.backoff.ms": "2000", "retry.backoff.max.ms": "2000"}
    cluster.delay_answers(300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(producing, "_GUARANTEES", {"enable.idempotence": ("false", ""), "acks": ("all", "")})
        return make_producer(cluster, properties, block_ticks=10 * MEMBERS, mode=mode)


def publish_to_the_first(producer: Producer, steps: int) -> None:
    """To partition 0 alone: the others hold the steps already."""
    producer.begin(steps=each(0, steps, steps))
    producer.publish(make_block(1, steps))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def acknowledged(producer: Producer) -> int:
    return int(producer.partition_counts().acknowledged[0])


@pytest.mark.parametrize(
    ("mode", "steps", "messages", "late_ticks"), [("block", 50, 5, 20 * MEMBERS), ("tick", 1, 7, 2)]
)
def test_a_step_counts_as_acknowledged_once_all_before_it_are(
    cluster: MockCluster, mode: str, steps: int, messages: int, late_ticks: int
) -> None:
    with one_request_a_message(cluster, mode) as producer:
        cluster.fail_requests(PRODUCE, [REQUEST_TIMED_OUT, NO_ERROR, REQUEST_TIMED_OUT])
        publish_to_the_first(producer, steps)
        until(lambda: producer.delivered.messages == messages - 2)
        assert producer.delivered.in_flight == 2
        assert producer.delivered.ticks == steps * MEMBERS - late_ticks
        assert acknowledged(producer) == 0
        assert producer.flush() == 0
        delivered = producer.delivered
        assert (delivered.messages, delivered.ticks, delivered.failed) == (messages, steps * MEMBERS, 0)
        assert acknowledged(producer) == steps


def test_a_failure_among_them_is_named_and_nothing_behind_it_counts_as_held(cluster: MockCluster) -> None:
    """The first message is written, the second refused; the third is waiting to be tried again when the last two are
    written."""
    producer = one_request_a_message(cluster, "block")
    cluster.fail_requests(PRODUCE, [NO_ERROR, MSG_SIZE_TOO_LARGE, REQUEST_TIMED_OUT])
    publish_to_the_first(producer, 50)
    until(lambda: producer.delivered.messages == 3)
    assert (producer.delivered.failed, producer.delivered.in_flight) == (1, 1)
    with pytest.raises(PublishError, match=r"partition 0 of ticks.test, steps 11 to 20: .*Message size too large"):
        producer.poll()
    until(lambda: producer.delivered.in_flight == 0)
    delivered = producer.delivered
    assert (delivered.messages, delivered.ticks, delivered.failed) == (3, 30 * MEMBERS, 2)
    assert acknowledged(producer) == 10
    producer.close()
