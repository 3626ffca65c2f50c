"""The feed on the real broker: every step once, in order, in every bit, however often it is started and killed."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np
import pytest

from live.feeder import INSTRUMENTS, sample, start_feeder
from live.topic import assert_topic_holds
from pseudofeed.bus.topics import describe
from pseudofeed.errors import MarketChanged, TopicError
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish import ends as topic_ends
from pseudofeed.publish.ends import read_ends
from pseudofeed.publish.feed import feed
from pseudofeed.records import TICK
from pseudofeed.settings import Connections


def test_the_same_again_adds_nothing_and_more_goes_on(connections: Connections, market_name: str) -> None:
    market = sample(market_name)
    first = feed(market, connections, SignalControl(), steps=5_000)
    assert (first.ticks, first.last_step) == (5_000 * INSTRUMENTS, 5_000)
    before = describe(connections.require_kafka(), TICK.topic_of(market_name))
    again = feed(market, connections, SignalControl(), steps=5_000)
    assert (again.ticks, again.last_step) == (0, 5_000)
    after = describe(connections.require_kafka(), TICK.topic_of(market_name))
    assert after.high.tolist() == before.high.tolist()
    assert after.topic_id == before.topic_id
    more = feed(market, connections, SignalControl(), steps=7_001)
    assert (more.ticks, more.last_step) == (2_001 * INSTRUMENTS, 7_001)
    assert_topic_holds(connections, market, steps=7_001)


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGTERM, {}), (signal.SIGINT, {"mode": "tick"}), (signal.SIGINT, {"rate": 20_000.0})],
    ids=["SIGTERM, block", "SIGINT, tick", "SIGINT, paced"],
)
def test_asked_to_stop_it_flushes_and_the_next_one_goes_on(
    connections: Connections, market_name: str, number: signal.Signals, options: dict[str, Any]
) -> None:
    market = sample(market_name)
    with start_feeder(connections, market_name, **options) as feeder:
        feeder.wait_until_going()
        time.sleep(0.05)
        assert feeder.process.pid is not None
        os.kill(feeder.process.pid, number)
        summary = feeder.summary()
    ends = read_ends(connections.require_kafka(), market, 4, settle=False)
    end = ends[TICK]
    members = np.array([len(own.numbers) for own in end.partitions])
    assert int(end.steps[members > 0].min()) == summary.last_step
    assert summary.ticks == int((end.steps * members + end.ahead).sum())
    steps = ends.newest + 10
    feed(market, connections, SignalControl(), steps=steps)
    assert_topic_holds(connections, market, steps=steps)


def test_a_second_feed_beside_a_running_one_is_refused(
    connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_ends, "SETTLE_TIMEOUT", 1.0)
    with start_feeder(connections, market_name, rate=20_000.0) as feeder:
        feeder.wait_until_going()
        with pytest.raises(TopicError, match="another feed is writing"):
            feed(sample(market_name), connections, SignalControl(), steps=10**9)


def test_a_changed_market_is_refused_with_what_changed(connections: Connections, market_name: str) -> None:
    feed(sample(market_name), connections, SignalControl(), steps=10)
    with pytest.raises(MarketChanged, match=r"seed: 7 -> 8(.|\n)*partitions: 4 -> 2"):
        feed(sample(market_name, seed=8), connections, SignalControl(), steps=10, partitions=2)
    assert feed(sample(market_name), connections, SignalControl(), steps=10).ticks == 0


@pytest.mark.parametrize("options", [{"rate": 20_000.0}, {"speed": 1_000.0}], ids=["rate", "speed"])
def test_paced_it_keeps_the_pace_without_drift(
    connections: Connections, market_name: str, options: dict[str, float]
) -> None:
    summary = feed(sample(market_name), connections, SignalControl(), steps=2_001, **options)  # type: ignore[arg-type]
    assert summary.ticks == 2_001 * INSTRUMENTS
    # 2,000 steps of 20 ticks at 20,000 ticks a second, or 2,000 s of event time a thousand times as fast.
    assert summary.seconds == pytest.approx(2.0, abs=0.3)
    assert summary.pacing is not None
    assert 0 < summary.pacing.p50_ms <= summary.pacing.p99_ms <= summary.pacing.max_ms
