"""The feed on the real broker: every step once, in order, in every bit, however often it is started and killed."""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from pseudofeed.control import SignalControl
from pseudofeed.encode._encode import decode_ticks
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.errors import MarketChanged, TopicError
from pseudofeed.market import Market
from pseudofeed.publish import resume
from pseudofeed.publish.feed import feed
from pseudofeed.publish.markets import read_market
from pseudofeed.publish.reader import TopicReader
from pseudofeed.publish.topics import describe, tick_topic
from pseudofeed.settings import Connections
from pseudofeed.simulate.stream import stream

INSTRUMENTS = 20

# The sample market of that name, fed until it is killed or told to stop; says "going" at the first acknowledgement.
FEEDER = f"""
import json, sys
from dataclasses import asdict
from pseudofeed.control import SignalControl
from pseudofeed.market import Market
from pseudofeed.publish.feed import feed
from pseudofeed.settings import Connections

said = []
def on_progress(progress):
    if progress.ticks and not said:
        said.append(print("going", flush=True))

market = Market.sample(instruments={INSTRUMENTS}, name=sys.argv[1])
rate = float(sys.argv[2]) if len(sys.argv) > 2 else None
control = SignalControl(on_progress=on_progress).listen()
print(json.dumps(asdict(feed(market, Connections.resolve(), control, rate=rate))))
"""


def sample(name: str, *, seed: int = 7) -> Market:
    return Market.sample(instruments=INSTRUMENTS, name=name, seed=seed)


def start_feeder(name: str, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", FEEDER, name, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if process.stdout.readline() != "going\n":
        pytest.fail(f"the feeder ended: {process.communicate()[1]}")
    return process


def assert_topic_holds(connections: Connections, market: Market, *, steps: int) -> None:
    """Each partition has the steps 1 to `steps` of its instruments, once, in order, as they are simulated."""
    record = read_market(connections.require_kafka(), market.name)
    partition_of = instrument_partitions(market.symbols, record.partitions)
    messages: dict[int, list[bytes]] = {partition: [] for partition in range(record.partitions)}
    with TopicReader(connections.require_kafka()) as reader:
        for message in reader.read(tick_topic(market.name), dict.fromkeys(messages, 0)):
            messages[message.partition() or 0].append(message.value() or b"")
    blocks = list(stream(market, steps=steps))
    times = np.concatenate([block.time for block in blocks])
    prices = np.concatenate([block.prices for block in blocks])
    variances = np.concatenate([block.variances for block in blocks])
    for partition, values in messages.items():
        numbers = np.flatnonzero(partition_of == partition)
        if len(numbers) == 0:
            assert values == []
            continue
        ticks = decode_ticks(values, fingerprint=market.fingerprint, partition=partition)
        assert len(ticks) == steps * len(numbers)
        assert np.array_equal(ticks.sequence, np.repeat(np.arange(1, steps + 1), len(numbers)))
        assert np.array_equal(ticks.instrument, np.tile(numbers, steps))
        assert np.array_equal(ticks.time, np.repeat(times, len(numbers)))
        assert ticks.price.tobytes() == np.ascontiguousarray(prices[:, numbers]).tobytes()
        assert ticks.variance.tobytes() == np.ascontiguousarray(variances[:, numbers]).tobytes()


def test_the_same_again_adds_nothing_and_more_goes_on(connections: Connections, market_name: str) -> None:
    market = sample(market_name)
    first = feed(market, connections, SignalControl(), steps=5_000)
    assert (first.ticks, first.last_step) == (5_000 * INSTRUMENTS, 5_000)
    before = describe(connections.require_kafka(), tick_topic(market_name))
    again = feed(market, connections, SignalControl(), steps=5_000)
    assert (again.ticks, again.last_step) == (0, 5_000)
    after = describe(connections.require_kafka(), tick_topic(market_name))
    assert after.high.tolist() == before.high.tolist()
    assert after.topic_id == before.topic_id
    more = feed(market, connections, SignalControl(), steps=7_001)
    assert (more.ticks, more.last_step) == (2_001 * INSTRUMENTS, 7_001)
    assert_topic_holds(connections, market, steps=7_001)


@pytest.mark.time_limit(180)
def test_killed_in_the_middle_every_step_is_there_once(
    connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    market = sample(market_name)
    held = 0
    for _ in range(repeats(5)):
        process = start_feeder(market_name)
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
        process.communicate()
        last = resume.last_sequences(
            connections.require_kafka(), tick_topic(market_name), 4, fingerprint=market.fingerprint
        )
        assert last.min() > held, "the killed feed had gone on"
        held = int(last.min())
    steps = int(last.max()) + 1_000
    feed(market, connections, SignalControl(), steps=steps)
    assert_topic_holds(connections, market, steps=steps)


def test_asked_to_stop_it_flushes_and_the_next_one_goes_on(connections: Connections, market_name: str) -> None:
    process = start_feeder(market_name)
    time.sleep(0.1)
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    summary = json.loads(out)
    market = sample(market_name)
    last = resume.last_sequences(
        connections.require_kafka(), tick_topic(market_name), 4, fingerprint=market.fingerprint
    )
    used = np.unique(instrument_partitions(market.symbols, 4))
    assert int(last[used].min()) == summary["last_step"]
    assert summary["ticks"] == int((last * np.bincount(instrument_partitions(market.symbols, 4), minlength=4)).sum())
    steps = int(last.max()) + 10
    feed(market, connections, SignalControl(), steps=steps)
    assert_topic_holds(connections, market, steps=steps)


def test_a_second_feed_beside_a_running_one_is_refused(
    connections: Connections, market_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SETTLE_TIMEOUT", 1.0)
    process = start_feeder(market_name, "20000")
    try:
        with pytest.raises(TopicError, match="another feed is writing"):
            feed(sample(market_name), connections, SignalControl(), steps=10**9)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


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
