"""The feed: a market's records into its topics, each once, from wherever the topics end.

A run registers the market, reads the last messages of each partition (ends.py) and the newest state of the simulation
(checkpoint.py), walks from there to the end of the partition that is farthest behind, publishes what each one lacks up
to the newest step, and goes on with all of them. So to feed the same steps again adds nothing, and after a crash the
next run goes on with the next record of each partition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pseudofeed.bus.markets import register_market
from pseudofeed.bus.topics import check_broker, ensure_market_topics
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.errors import SimulationError
from pseudofeed.operate.control import Control
from pseudofeed.publish.checkpoint import StateSender
from pseudofeed.publish.producer import Producer
from pseudofeed.publish.readers import LEAD_BYTES, Readers
from pseudofeed.publish.resume import find_beginning
from pseudofeed.publish.run import FeedRun, FeedSummary, Pace
from pseudofeed.records import FACTOR, STATE, TICK
from pseudofeed.simulate.stream import stream

if TYPE_CHECKING:
    from pseudofeed.market import Market
    from pseudofeed.settings import Connections

__all__ = ["feed"]

TICK_BYTES = 24
"""At most, of a tick in a block."""

STREAM_TICKS = 1 << 18
"""About this many ticks are simulated at a time: several full messages for each partition."""

PACED_TICKS = 1 << 14
"""The same of a paced feed, which must not be late for having simulated: half a millisecond's work."""


def feed(
    market: Market,
    connections: Connections,
    control: Control,
    *,
    steps: int | None = None,
    rate: float | None = None,
    speed: float | None = None,
    mode: str = "block",
    encoding: str = "sbe",
    partitions: int | None = None,
    wait_for_readers: Sequence[str] | None = None,
    on_market: Callable[[Market], None] | None = None,
) -> FeedSummary:
    """Publish the steps 1 to `steps` of a market, as far as its topics do not hold them yet. steps: None is the
    market's last one, or without end where it has none.

    rate: ticks a second; speed: seconds of event time a second; neither: as fast as it goes. A market that starts
    "now" at speed 1 is live: a step is published when the clock shows its time. mode: "block", many ticks a message;
    or "tick", a message each with the symbol as its key and a value in `encoding`, "sbe" or "json". partitions: of a
    new market (default 4); of a known one it must be the same. wait_for_readers: consumer groups that must keep up
    (readers.py). on_market: called with the market as it is registered, before anything is published.

    Ends early when `control.stopping`, with what was accepted acknowledged. Raises ServerError (no such server),
    MarketChanged, TopicError (the topic is not what it must be), PublishError (the server took no more).
    """
    if rate is not None and speed is not None:
        raise ValueError("rate and speed can't both be given: one of them sets the pace")
    for name, value in (("rate", rate), ("speed", speed), ("steps", steps), ("partitions", partitions)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0")
    kafka = connections.require_kafka()
    check_broker(kafka)
    record = register_market(kafka, market, partitions, steps=steps)
    live = market.start_is_now and speed == 1
    market = record.market
    if on_market is not None:
        on_market(market)
    steps = market.last_step if steps is None else steps
    topic = TICK.topic_of(market.name)
    ensure_market_topics(kafka, market, record.partitions)
    of_instrument = instrument_partitions(market.symbols, record.partitions)

    if rate is not None or speed is not None:
        kafka = {"linger.ms": "0", **kafka}  # what a step waits for is the next one
    with ExitStack() as stack:
        producer = Producer(
            kafka,
            topic,
            symbols=market.symbols,
            partitions=of_instrument,
            partition_count=record.partitions,
            fingerprint=record.fingerprint,
            mode=mode,
            encoding=encoding,
            factor_topic=FACTOR.topic_of(market.name),
            factors=len(market.factors.names),
        )
        stack.callback(producer.close)
        beginning = find_beginning(kafka, market, record.partitions)
        ticks, factors = beginning.ends[TICK], beginning.ends[FACTOR]
        producer.begin(steps=ticks.steps, ahead=ticks.ahead, offsets=ticks.offsets)
        producer.begin_factors(step=int(factors.steps[0]), offset=int(factors.offsets[0]))
        producer.connect()
        readers = None
        if wait_for_readers:
            readers = Readers(kafka, topic, wait_for_readers, ticks.offsets)
            stack.callback(readers.close)
        states = StateSender(kafka, STATE.topic_of(market.name), market, key_set=beginning.key_set)
        stack.callback(states.settle)
        run = FeedRun(control, producer, readers, states, beginning.ends)
        largest = int(np.bincount(of_instrument).argmax())
        block_steps = _block_steps(
            len(market.symbols),
            int(np.count_nonzero(of_instrument == largest)),
            producer.message_steps(largest),
            # Many substeps make blocks short, so that a block never takes much longer to simulate than to send.
            (STREAM_TICKS if rate is None and speed is None else PACED_TICKS) // market.simulation.substeps,
            readers,
        )
        reached = run.catch_up(market, beginning, steps, block_steps)
        if reached is not None and (steps is None or steps > reached.step):
            simulate = partial(
                stream,
                market,
                start_step=reached.step + 1,
                steps=None if steps is None else steps - reached.step,
                block_steps=block_steps,
                state=reached,
            )
            try:
                run.publish_all(simulate, Pace(len(market.symbols), rate, speed, live))
            except SimulationError:  # the timetable ends here, for example: all that came before it is published
                run.drain()
                raise
        run.drain()
        return run.summary()


def _block_steps(instruments: int, largest: int, message_steps: int, most_ticks: int, readers: Readers | None) -> int:
    """Steps of a block of that many instruments, of which `largest` are in one partition: whole messages where a block
    holds some; with readers, a block is a part of what they may be behind."""
    steps = max(1, most_ticks // instruments)
    if readers is not None:
        return max(1, min(steps, LEAD_BYTES // 4 // (TICK_BYTES * largest)))
    return steps - steps % message_steps if steps > message_steps else steps
