"""The feed: a market's ticks into its topic, each once, from wherever the topic ends.

Nothing is remembered between two runs. A run registers the market, reads the last messages of each partition, which
hold the simulation's state there, brings the partitions that are behind up to the newest step, each by itself, and goes
on with all of them. So to feed the same steps again adds nothing, and after a crash the next run goes on with the next
tick of each partition.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.bus.markets import register_market
from pseudofeed.bus.topics import check_broker, ensure_market_topics
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.operate.control import Control, Progress
from pseudofeed.publish.catch_up import bring_up
from pseudofeed.publish.pacing import Pacer, PacingError, PacingSummary, RatePacer, SpeedPacer
from pseudofeed.publish.producer import Producer, Ticks
from pseudofeed.publish.readers import LEAD_BYTES, Readers
from pseudofeed.publish.resume import read_end
from pseudofeed.records import FACTOR, TICK
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.stream import stream

if TYPE_CHECKING:
    from pseudofeed.market import Market
    from pseudofeed.settings import Connections

__all__ = ["FeedSummary", "feed"]

REPORT_SECONDS = 0.1
STOP_SECONDS = 10.0
"""How long a feed that is asked to stop waits for the acknowledgement of what it has sent."""

TICK_BYTES = 24
"""At most, of a tick in a block."""

STREAM_TICKS = 1 << 18
"""About this many ticks are simulated at a time: several full messages for each partition."""

PACED_TICKS = 1 << 14
"""The same of a paced feed, which must not be late for having simulated: half a millisecond's work."""


@dataclass(frozen=True, slots=True)
class FeedSummary:
    """ticks: acknowledged in this run. seconds: from the first tick to the last acknowledgement. last_step: the step
    up to which every partition holds the market (0: none). pacing: of a paced feed, how late its steps were."""

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int
    pacing: PacingSummary | None = None


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
    """Publish the steps 1 to `steps` of a market, as far as its topic does not hold them yet. steps: None is the
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
    record = register_market(kafka, market, partitions)
    live = market.start_is_now and speed == 1
    market = record.market
    if on_market is not None:
        on_market(market)
    steps = market.last_step if steps is None else steps
    if steps is not None:
        market.clock.times(steps, 1)  # beyond the market's end or its timetable: said now
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
        end = read_end(kafka, market, record.partitions)
        producer.begin(steps=end.steps, ahead=end.ahead, offsets=end.offsets)
        producer.begin_factors(step=end.factors.step, offset=end.factors.offset)
        producer.connect()
        readers = None
        if wait_for_readers:
            readers = Readers(kafka, topic, wait_for_readers, end.offsets)
            stack.callback(readers.close)
        run = _Run(control, producer, readers, used=np.unique(of_instrument))
        members = np.bincount(of_instrument, minlength=record.partitions)

        def block_steps(partition: int) -> int:
            own = int(members[partition])
            return _block_steps(own, own, producer.message_steps(partition), STREAM_TICKS, readers)

        target = end.newest if steps is None else min(end.newest, steps)
        state = bring_up(
            market, end, target, publish=run.publish, publish_factors=run.publish_factors, block_steps=block_steps
        )
        if state is not None and (steps is None or steps > target):
            largest = int(members.argmax())
            most = STREAM_TICKS if rate is None and speed is None else PACED_TICKS
            blocks = stream(
                market,
                start_step=target + 1,
                steps=None if steps is None else steps - target,
                block_steps=_block_steps(
                    len(market.symbols), int(members[largest]), producer.message_steps(largest), most, readers
                ),
                state=state,
            )
            run.publish_all(blocks, _Pace(len(market.symbols), rate, speed, live))
        run.drain()
        return run.summary()


def _block_steps(instruments: int, largest: int, message_steps: int, most_ticks: int, readers: Readers | None) -> int:
    """Steps of a block of that many instruments, of which `largest` are in one partition: whole messages where a block
    holds some; with readers, a block is a part of what they may be behind."""
    steps = max(1, most_ticks // instruments)
    if readers is not None:
        return max(1, min(steps, LEAD_BYTES // 4 // (TICK_BYTES * largest)))
    return steps - steps % message_steps if steps > message_steps else steps


@dataclass(frozen=True, slots=True)
class _Pace:
    """What was asked for. Time counts from the first block of all partitions, not from what came before it."""

    instruments: int
    rate: float | None
    speed: float | None
    live: bool

    def start(self, first: Ticks) -> Pacer | None:
        now = time.monotonic()
        if self.rate is not None:
            return RatePacer(now, first.first_step, self.instruments / self.rate)
        if self.speed is None:
            return None
        return SpeedPacer.live() if self.live else SpeedPacer(now, int(first.time[0]), self.speed)


class _Run:
    """One feed from its first block to its last acknowledgement."""

    def __init__(
        self, control: Control, producer: Producer, readers: Readers | None, *, used: NDArray[np.int32]
    ) -> None:
        self._control = control
        self._producer = producer
        self._readers = readers
        self._used = used  # a partition without instruments stays empty
        self._started: float | None = None
        self._reported = 0.0
        self._pacing_error = PacingError()

    def publish(self, block: TickBlock, partition: int | None = None) -> bool:
        """Enqueue a block, of all instruments or of one partition's; False when asked to stop."""
        if self._started is None:
            self._started = time.monotonic()
        if not self._readers_keep_up():
            return False
        if partition is None and not self._producer.publish_factors(block, stopping=self._report_and_ask):
            return False
        if not self._producer.publish(block, partition=partition, stopping=self._report_and_ask):
            return False
        self._report()
        return not self._control.stopping

    def publish_factors(self, block: TickBlock) -> bool:
        """Enqueue a block's factors alone; False when asked to stop."""
        if not self._producer.publish_factors(block, stopping=self._report_and_ask):
            return False
        self._report()
        return not self._control.stopping

    def publish_all(self, blocks: Iterator[TickBlock], pace: _Pace) -> None:
        pacer: Pacer | None = None
        began = 0.0
        for block in blocks:
            if pacer is None:
                began, pacer = time.monotonic(), pace.start(block)
            going = self.publish(block) if pacer is None else self._publish_paced(block, pacer.due(block), began)
            if not going:
                return

    def _publish_paced(self, block: TickBlock, due: NDArray[np.float64], began: float) -> bool:
        """Publish the block's rows as they fall due; False when asked to stop. Rows that were due before the feed
        `began` are no error of the pacing."""
        row = 0
        while row < len(due):
            now = time.monotonic()
            until = int(np.searchsorted(due, now, side="right"))
            if until > row:
                if not self.publish(block.part(row, until)):
                    return False
                self._pacing_error.record(time.monotonic() - due[row:until][due[row:until] >= began])
                row = until
            else:
                # At least a millisecond, so that a high rate goes out in small batches rather than step by step.
                time.sleep(min(max(float(due[row]) - now, 0.001), REPORT_SECONDS / 2))
                self._producer.poll()
                self._report()
                if self._control.stopping:
                    return False
        return True

    def last_step(self) -> int:
        """The step up to which every partition and the factor topic hold the market for certain."""
        ticks = int(self._producer.partition_counts().acknowledged[self._used].min())
        return min(ticks, self._producer.factor_step)

    def summary(self) -> FeedSummary:
        delivered, seconds = self._producer.delivered, self._seconds()
        rate = delivered.ticks / seconds if seconds > 0 else 0.0
        return FeedSummary(delivered.ticks, seconds, rate, self.last_step(), self._pacing_error.summary())

    def _readers_keep_up(self) -> bool:
        """Wait until they do; False when asked to stop."""
        while self._readers is not None and not self._readers.keep_up(self._producer.partition_counts()):
            if self._report_and_ask():
                return False
            # What lingers is sent now: a reader can't come nearer to what it does not get.
            self._producer.flush(0.02)
        return True

    def drain(self) -> None:
        """Wait for the acknowledgement of all that was published."""
        deadline: float | None = None
        while self._producer.flush(REPORT_SECONDS) > 0:
            self._report()
            self._producer.check_moving()
            if deadline is None and self._control.stopping:
                deadline = time.monotonic() + STOP_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                raise self._producer.give_up(f"stopping, after {STOP_SECONDS:g} s")
        self._report(at_once=True)

    def _seconds(self) -> float:
        last = self._producer.delivered.last
        return max(0.0, last - self._started) if self._started is not None and last > 0 else 0.0

    def _report_and_ask(self) -> bool:
        self._report()
        return self._control.stopping

    def _report(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        delivered = self._producer.delivered
        newest = int(self._producer.partition_counts().acknowledged.max())
        self._control.report(Progress("feed", delivered.ticks, newest, delivered.in_flight, self._seconds()))
