"""A feed into the mock cluster, which keeps 5 MiB a partition, waits for its readers and loses nothing."""

from __future__ import annotations

import threading
import time

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from pseudofeed.bus.clients import silent_logger
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.encode._encode import decode_ticks
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress, SignalControl
from pseudofeed.publish._publish import MockCluster
from pseudofeed.publish.feed import feed
from pseudofeed.records import TICK, kinds_of
from pseudofeed.settings import Connections

INSTRUMENTS, STEPS = 100, 10_000  # 16 MB in one partition


class SlowReader(threading.Thread):
    """Reads a topic's one partition from the start, commits now and then; keeps the messages."""

    def __init__(self, servers: str, topic: str, group: str) -> None:
        super().__init__()
        self.values: list[bytes] = []
        self.finished = threading.Event()
        self._topic = topic
        settings = {"bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False}
        self._consumer = Consumer(settings, logger=silent_logger())

    def run(self) -> None:
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        while not self.finished.is_set():
            messages = self._consumer.consume(5, timeout=0.1)
            self.values += [message.value() or b"" for message in messages if message.error() is None]
            if messages:
                time.sleep(0.01)
                self._consumer.commit(offsets=[TopicPartition(self._topic, 0, len(self.values))], asynchronous=False)
        self._consumer.close()


def test_the_feed_waits_for_the_slowest_reader() -> None:
    market = Market.sample(instruments=INSTRUMENTS, name="demo")
    topic = TICK.topic_of("demo")
    progress: list[Progress] = []
    with MockCluster() as cluster:
        for kind in kinds_of(market):
            cluster.create_topic(kind.topic_of("demo"), 1)
        cluster.create_topic(MARKETS_TOPIC, 1)
        connections = Connections(kafka={"bootstrap.servers": cluster.bootstrap_servers})
        readers = [SlowReader(cluster.bootstrap_servers, topic, group) for group in ("one", "other")]
        for reader in readers:
            reader.start()
        summary = feed(
            market,
            connections,
            SignalControl(on_progress=progress.append),
            steps=STEPS,
            partitions=1,
            wait_for_readers=("one", "other"),
        )
        deadline = time.monotonic() + 20
        while any(sum(map(len, reader.values)) < 16 * summary.ticks for reader in readers):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for reader in readers:
            reader.finished.set()
            reader.join()
    assert summary.ticks == INSTRUMENTS * STEPS
    for reader in readers:
        ticks = decode_ticks(reader.values, fingerprint=market.fingerprint, partition=0)
        assert np.array_equal(ticks.sequence, np.repeat(np.arange(1, STEPS + 1), INSTRUMENTS))
    assert (progress[-1].ticks, progress[-1].sequence, progress[-1].lag) == (summary.ticks, STEPS, 0)
