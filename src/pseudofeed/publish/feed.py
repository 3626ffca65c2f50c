"""The feed: a market's ticks into its topic, each once, from wherever the topic ends.

Nothing is remembered between two runs. A run registers the market, reads the last message of each partition,
simulates from the step after the least of them, and publishes of each partition what it does not hold yet. So to feed
the same steps again adds nothing, and after a crash the next run goes on with the next step of each partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.control import Control, Progress
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.publish.markets import register_market
from pseudofeed.publish.pacing import Pacer, RatePacer, SpeedPacer
from pseudofeed.publish.producer import Producer, Ticks
from pseudofeed.publish.readers import LEAD_BYTES, Readers
from pseudofeed.publish.resume import TopicEnd, read_end
from pseudofeed.publish.topics import TICK_TOPIC_CONFIG, check_broker, ensure_topic, tick_topic
from pseudofeed.simulate.stream import stream

if TYPE_CHECKING:
    from pseudofeed.market import Market
    from pseudofeed.settings import Connections

__all__ = ["FeedSummary", "feed"]

REPORT_SECONDS = 0.1
STOP_SECONDS = 10.0
"""How long a feed that is asked to stop waits for the acknowledgement of what it has sent."""

STREAM_TICKS = 1 << 18
"""About this many ticks are simulated at a time: several full messages for each partition."""


@dataclass(frozen=True, slots=True)
class FeedSummary:
    """ticks: acknowledged in this run. seconds: from the first tick to the last acknowledgement. last_step: the step
    up to which every partition holds the market (0: none)."""

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some rows of a block."""

    first_step: int
    time: NDArray[np.int64]
    prices: NDArray[np.float64]
    variances: NDArray[np.float64]


def feed(
    market: Market,
    connections: Connections,
    control: Control,
    *,
    steps: int | None = None,
    rate: float | None = None,
    speed: float | None = None,
    partitions: int | None = None,
    wait_for_readers: Sequence[str] | None = None,
) -> FeedSummary:
    """Publish the steps 1 to `steps` (None: without end) of a market, as far as its topic does not hold them yet.

    rate: ticks a second; speed: seconds of event time a second; neither: as fast as it goes. A market that starts
    "now" at speed 1 is live: a step is published when the clock shows its time. partitions: of a new market (default
    4); of a known one it must be the same. wait_for_readers: consumer groups that must keep up (readers.py).

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
    topic = tick_topic(market.name)
    ensure_topic(kafka, topic, record.partitions, TICK_TOPIC_CONFIG)
    of_instrument = instrument_partitions(market.symbols, record.partitions)

    if rate is not None or speed is not None:
        kafka = {"linger.ms": "1", **kafka}
    with ExitStack() as stack:
        producer = Producer(
            kafka,
            topic,
            partitions=of_instrument,
            partition_count=record.partitions,
            fingerprint=record.fingerprint,
        )
        stack.callback(producer.close)
        end = read_end(kafka, topic, record.partitions, fingerprint=record.fingerprint)
        producer.expect_offsets(end.offsets)
        readers = None
        if wait_for_readers:
            readers = Readers(kafka, topic, wait_for_readers, end.offsets)
            stack.callback(readers.close)
        run = _Run(control, producer, readers, end, used=np.unique(of_instrument))
        first_step = run.last_step() + 1
        if steps is None or first_step <= steps:
            run.publish_all(
                stream(
                    market,
                    start_step=first_step,
                    steps=None if steps is None else steps - first_step + 1,
                    block_steps=_block_steps(len(market.symbols), of_instrument, producer, readers),
                ),
                _Pace(instruments=len(market.symbols), rate=rate, speed=speed, live=live),
            )
        return run.summary()


def _block_steps(
    instruments: int, of_instrument: NDArray[np.int32], producer: Producer, readers: Readers | None
) -> int:
    """Whole messages where a block holds some; with readers, a block is a part of what they may be behind."""
    if readers is not None:
        step_bytes = 24 * int(np.bincount(of_instrument).max())
        return max(1, min(STREAM_TICKS // instruments, LEAD_BYTES // 4 // step_bytes))
    steps = max(1, STREAM_TICKS // instruments)
    message = producer.message_steps()
    return steps - steps % message if steps > message else steps


@dataclass(frozen=True, slots=True)
class _Pace:
    """What was asked for. Time counts from the first block, not from the simulation of the steps before it."""

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
        self,
        control: Control,
        producer: Producer,
        readers: Readers | None,
        end: TopicEnd,
        *,
        used: NDArray[np.int32],
    ) -> None:
        self._control = control
        self._producer = producer
        self._readers = readers
        self._end = end
        self._used = used  # a partition without instruments stays empty
        self._started: float | None = None
        self._reported = 0.0

    def publish_all(self, blocks: Iterator[Ticks], pace: _Pace) -> None:
        pacer: Pacer | None = None
        for block in blocks:
            if self._started is None:
                pacer = pace.start(block)
            for rows in self._paced(block, pacer):
                if self._started is None:
                    self._started = time.monotonic()
                if not self._readers_keep_up():
                    break
                if not self._producer.publish(rows, published=self._end.sequences, stopping=self._report_and_ask):
                    break
                self._report()
            if self._control.stopping:
                break
        self._drain()

    def last_step(self) -> int:
        return int(self._held()[self._used].min())

    def summary(self) -> FeedSummary:
        delivered, seconds = self._producer.delivered, self._seconds()
        rate = delivered.ticks / seconds if seconds > 0 else 0.0
        return FeedSummary(delivered.ticks, seconds, rate, self.last_step())

    def _paced(self, block: Ticks, pacer: Pacer | None) -> Iterator[Ticks]:
        """The block's rows as they fall due; ends early when asked to stop."""
        if pacer is None:
            yield block
            return
        due = pacer.due(block)
        row = 0
        while row < len(due) and not self._control.stopping:
            now = time.monotonic()
            until = int(np.searchsorted(due, now, side="right"))
            if until > row:
                yield _Rows(
                    block.first_step + row,
                    block.time[row:until],
                    block.prices[row:until],
                    block.variances[row:until],
                )
                row = until
            else:
                # At least a millisecond, so that a high rate goes out in small batches rather than step by step.
                time.sleep(min(max(float(due[row]) - now, 0.001), REPORT_SECONDS / 2))
                self._producer.poll()
                self._report()

    def _readers_keep_up(self) -> bool:
        """Wait until they do; False when asked to stop."""
        while self._readers is not None and not self._readers.keep_up(self._producer.partition_counts()):
            if self._report_and_ask():
                return False
            # What lingers is sent now: a reader can't come nearer to what it does not get.
            self._producer.flush(0.02)
        return True

    def _drain(self) -> None:
        deadline: float | None = None
        while self._producer.flush(REPORT_SECONDS) > 0:
            self._report()
            self._producer.check_moving()
            if deadline is None and self._control.stopping:
                deadline = time.monotonic() + STOP_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                raise self._producer.give_up(f"stopping, after {STOP_SECONDS:g} s")
        self._report(at_once=True)

    def _held(self) -> NDArray[np.int64]:
        """(P,) the last step that each partition holds for certain."""
        return np.maximum(self._end.sequences, self._producer.partition_counts().acknowledged)

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
