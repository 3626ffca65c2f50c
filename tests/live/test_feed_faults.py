"""What may happen to a feed: it is killed, its broker is killed. Every step is in the topic once all the same."""

from __future__ import annotations

import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from live.feeder import PLACES, sample, start_feeder
from live.own_servers import own_broker
from live.topic import assert_topic_holds
from pseudofeed.operate.control import Progress, SignalControl
from pseudofeed.publish.ends import read_ends
from pseudofeed.publish.feed import feed
from pseudofeed.publish.resume import find_beginning
from pseudofeed.publish.run import FeedSummary
from pseudofeed.records import TICK
from pseudofeed.settings import Connections

SHAPES = [{"mode": "block"}, {"mode": "tick"}, {"mode": "tick", "encoding": "json"}]


@pytest.mark.time_limit(400)
def test_killed_50_times_every_step_is_there_once(
    connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    market, kafka = sample(market_name), connections.require_kafka()
    seen: Counter[str] = Counter()
    for number in range(repeats(50)):
        # Unpaced, it has full queues to lose; paced, the topic stays small enough to be read in a test.
        rate = None if chance.random() < 0.4 else 200_000.0
        with start_feeder(connections, market_name, rate=rate, **chance.choice(SHAPES)) as feeder:
            if number == 0 or chance.random() < 0.8:
                feeder.wait_until_going()
                time.sleep(chance.uniform(0.0, 0.08))
            else:
                time.sleep(chance.uniform(0.0, 1.2))
            feeder.kill()
        ends = read_ends(kafka, market, 4, settle=False)
        end = ends[TICK]
        seen["apart"] += len(set(end.steps.tolist())) > 1
        seen["within a step"] += bool(end.ahead.any())
    print(seen)
    assert seen["apart"] > 5, "no kill left the partitions at different steps: it proves little"
    assert seen["within a step"] > 5, "no kill left a step cut in the middle: it proves little"
    steps = ends.newest + 1_000
    feed(market, connections, SignalControl(), steps=steps)
    assert_topic_holds(connections, market, steps=steps)


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_acknowledgement_and_state_it_goes_on(
    connections: Connections, market_name: str, place: str
) -> None:
    market, kafka = sample(market_name), connections.require_kafka()
    for _ in range(2):
        with start_feeder(connections, market_name, dies=place) as feeder:
            feeder.process.join(60)
            assert feeder.process.exitcode == -signal.SIGKILL
    beginning = find_beginning(kafka, market, 4)
    assert beginning.state.step > 0
    steps = beginning.ends.newest + 1_000
    feed(market, connections, SignalControl(), steps=steps)
    assert_topic_holds(connections, market, steps=steps)


class Running:
    """A feed in a thread of this process."""

    def __init__(self, connections: Connections, name: str, **options: Any) -> None:
        self.stopping = self.draining = False
        self.name = name
        self.ticks = 0
        self._summary: FeedSummary | None = None
        self._thread = threading.Thread(target=self._run, args=(connections, name, options))
        self._thread.start()

    def _run(self, connections: Connections, name: str, options: dict[str, Any]) -> None:
        self._summary = feed(sample(name), connections, self, **options)

    def report(self, progress: Progress) -> None:
        self.ticks = progress.ticks

    def wait_for(self, ticks: int) -> None:
        """Until so many are acknowledged."""
        while self.ticks < ticks:
            assert self._thread.is_alive(), "the feed ended"
            time.sleep(0.01)

    def stop(self) -> FeedSummary:
        self.stopping = True
        self._thread.join(60)
        assert self._summary is not None
        return self._summary


@pytest.mark.time_limit(400)
def test_the_broker_killed_five_times_in_mid_stream(repeats: Callable[[int], int]) -> None:
    """Under two feeds, of blocks and of single ticks. The sample market lies in the past: by its own times a broker
    would have forgotten the producers when it comes back, and might write what is sent again twice."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with own_broker() as broker:
        feeds = [
            Running(broker.connections, "killed-broker-block", mode="block", rate=100_000.0),
            Running(broker.connections, "killed-broker-tick", mode="tick", rate=20_000.0),
        ]
        try:
            for kill in range(repeats(5) + 1):
                for feeding in feeds:
                    feeding.wait_for(feeding.ticks + 4_000)
                if kill < repeats(5):
                    time.sleep(chance.uniform(0.0, 0.1))
                    broker.kill()
                    time.sleep(chance.uniform(0.0, 0.5))
                    broker.start()
        finally:
            summaries = [feeding.stop() for feeding in feeds]
        for feeding, summary in zip(feeds, summaries, strict=True):
            market = sample(feeding.name)
            ends = read_ends(broker.kafka, market, 4)
            end = ends[TICK]
            assert int(end.steps[end.steps > 0].min()) == summary.last_step
            feed(market, broker.connections, SignalControl(), steps=ends.newest + 100)
            assert_topic_holds(broker.connections, market, steps=ends.newest + 100)
