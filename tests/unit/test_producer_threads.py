"""A producer that is closed while another thread publishes, or interrupted: it ends soon, with one clear error.

tests/native/test_producer.cpp does the same on a fake librdkafka, where sanitizers see all.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

import pytest

from pseudofeed.errors import PublishError
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.producer import Producer
from pseudofeed.simulate.paths import TickBlock
from unit.test_producer import INSTRUMENTS, cluster, make_block, make_producer

__all__ = ["cluster"]

DUE = 0.15  # seconds until the interruption
# A native call takes at most 0.1 s; the rest is for machines that do other things.
PATIENCE = 1.0


def publish_until_closed(producer: Producer, problems: list[BaseException]) -> None:
    step = 1
    try:
        while True:
            producer.publish(make_block(step, 100))
            step += 100
    except BaseException as problem:
        problems.append(problem)


@pytest.mark.parametrize("full", [False, True], ids=["busy", "full queue"])
@pytest.mark.parametrize("mode", ["block", "tick"])
def test_closing_while_another_thread_publishes(cluster: MockCluster, mode: str, full: bool) -> None:
    if full:
        cluster.stop_broker()
    for wait in (0.0, 0.01, 0.1, 0.3):
        producer = make_producer(cluster, mode=mode, queue_bytes=64 << 10)
        problems: list[BaseException] = []
        thread = threading.Thread(target=publish_until_closed, args=(producer, problems))
        thread.start()
        time.sleep(wait)
        begin = time.monotonic()
        producer.close()
        producer.close()
        thread.join(timeout=10)
        assert time.monotonic() - begin < PATIENCE
        assert [type(problem) for problem in problems] == [PublishError]
        assert str(problems[0]) == "the producer for ticks.test is closed"
        delivered = producer.delivered  # can still be read
        assert delivered.in_flight == 0
        for call in (producer.flush, producer.poll, producer.connect, lambda p=producer: p.publish(make_block(1, 1))):
            with pytest.raises(PublishError, match=r"the producer for ticks\.test is closed"):
                call()


class Interrupted(Exception):
    pass


def publish_for_ever(producer: Producer, block: TickBlock) -> None:
    while True:  # a fast machine may be done with the block before it is interrupted
        producer.publish(block)


@pytest.mark.parametrize(
    ("mode", "ticks", "queue_bytes"),
    [
        pytest.param("block", 10_000_000, 512 << 20, id="ten million ticks in blocks"),
        pytest.param("tick", 1_000_000, 512 << 20, id="a million single ticks"),
        pytest.param("block", 400_000, 64 << 10, id="full queue"),
    ],
)
def test_publishing_is_interrupted_soon(cluster: MockCluster, mode: str, ticks: int, queue_bytes: int) -> None:
    block = make_block(1, ticks // INSTRUMENTS)
    cluster.stop_broker()
    due = 0.0

    def interrupt(_: int, __: FrameType | None) -> None:
        raise Interrupted(time.monotonic() - due)

    previous = signal.signal(signal.SIGALRM, interrupt)
    producer = make_producer(cluster, mode=mode, queue_bytes=queue_bytes)
    try:
        due = time.monotonic() + DUE
        signal.setitimer(signal.ITIMER_REAL, DUE)
        with pytest.raises(Interrupted) as interrupted:
            publish_for_ever(producer, block)
        late = interrupted.value.args[0]
        assert late < PATIENCE, late
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        producer.close()
