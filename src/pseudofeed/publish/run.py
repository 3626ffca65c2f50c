"""One feed, from where it begins to its last acknowledgement: walk, publish, keep the pace, store the state."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.operate.control import Control, Progress
from pseudofeed.publish.checkpoint import StateSender
from pseudofeed.publish.ends import MarketEnds
from pseudofeed.publish.overlap import Simulate, simulated_ahead
from pseudofeed.publish.pacing import Pacer, PacingError, PacingSummary, RatePacer, SpeedPacer
from pseudofeed.publish.producer import Producer
from pseudofeed.publish.readers import Readers
from pseudofeed.publish.resume import Beginning
from pseudofeed.records import FACTOR, TICK
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.state import MarketState
from pseudofeed.simulate.stream import advance, stream

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["FeedRun", "FeedSummary", "Pace"]

_log = logging.getLogger("pseudofeed.publish")

REPORT_SECONDS = 0.1
PATIENCE_SECONDS = 1.0
"""A walk that takes longer is reported."""

STOP_SECONDS = 10.0
"""How long a feed that is asked to stop waits for the acknowledgement of what it has sent."""


@dataclass(frozen=True, slots=True)
class FeedSummary:
    """ticks: acknowledged in this run. seconds: from the first tick to the last acknowledgement. last_step: the step
    up to which every partition holds the market (0: none). pacing: of a paced feed, how late its steps were."""

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int
    pacing: PacingSummary | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What was asked for. Time counts from the first block that is new everywhere, not from what came before it."""

    instruments: int
    rate: float | None
    speed: float | None
    live: bool

    def start(self, first: TickBlock) -> Pacer | None:
        now = time.monotonic()
        if self.rate is not None:
            return RatePacer(now, first.first_step, self.instruments / self.rate)
        if self.speed is None:
            return None
        return SpeedPacer.live() if self.live else SpeedPacer(now, int(first.time[0]), self.speed)


class FeedRun:
    """The run of a feed whose producer knows where the topics end."""

    def __init__(
        self, control: Control, producer: Producer, readers: Readers | None, states: StateSender, ends: MarketEnds
    ) -> None:
        self._control = control
        self._producer = producer
        self._readers = readers
        self._states = states
        self._ends = ends
        # A partition without instruments stays empty.
        self._used = np.array([len(end.numbers) > 0 for end in ends[TICK].partitions])
        # The last block, with the offsets behind it, if its state is not proposed.
        self._published: tuple[TickBlock, dict[str, NDArray[np.int64]]] | None = None
        self._started: float | None = None
        self._reported = 0.0
        self._pacing_error = PacingError()

    def catch_up(self, market: Market, beginning: Beginning, steps: int | None, block_steps: int) -> MarketState | None:
        """Walk to the newest step that is in any partition, compare what is there, and publish what each partition
        lacks up to it, or up to `steps`. Returns the state there; None where asked to stop."""
        newest = self._ends.newest if steps is None else min(self._ends.newest, steps)
        began = time.monotonic()
        state = self._walk(market, beginning, min(beginning.first_step - 1, newest))
        if state is not None and state.step < newest:
            state = self._fill(market, state, newest, block_steps)
        self._states.walked(time.monotonic() - began)
        if state is not None and beginning.state.step < state.step == self._ends.newest and self._states.due:
            # All partitions are level now: what was walked need not be walked again.
            self._states.propose(state, self._offsets())
        return state

    def _fill(self, market: Market, state: MarketState, newest: int, block_steps: int) -> MarketState | None:
        """Publish what each partition lacks of the steps up to `newest`; the state there, None where asked to stop."""
        blocks = stream(
            market,
            start_step=state.step + 1,
            steps=newest - state.step,
            block_steps=block_steps,
            state=state,
            stopping=self._report_and_ask,
        )
        for block in blocks:
            self._ends.check(block)
            if not self.publish(block):
                return None
            state = block.state
        return state if state.step == newest else None

    def _walk(self, market: Market, beginning: Beginning, step: int) -> MarketState | None:
        """The state at `step`, or the beginning's if that is later; None where asked to stop."""
        state, began, said = beginning.state, time.monotonic(), False
        why = (
            f"the newest stored state of market {market.name} is that of step {state.step:,}"
            if state.step
            else f"no stored state of market {market.name} fits its topics"
        )

        def going_on(reached: int) -> bool:
            nonlocal said
            seconds = time.monotonic() - began
            if not said and seconds > PATIENCE_SECONDS:
                said = True
                _log.warning("%s: simulating from there to step %s, now at %s", why, f"{step:,}", f"{reached:,}")
            self._control.report(Progress("feed", 0, reached, None, seconds))
            return not self._control.stopping

        if state.step < step:
            state = advance(market, state, step, going_on=going_on)
        return None if state.step < step else state

    def publish(self, block: TickBlock) -> bool:
        """Enqueue a block; False when asked to stop."""
        if self._started is None:
            self._started = time.monotonic()
        if not self._readers_keep_up():
            return False
        if not self._producer.publish_factors(block, stopping=self._report_and_ask):
            return False
        if not self._producer.publish(block, stopping=self._report_and_ask):
            return False
        self._report()
        return not self._control.stopping

    def publish_all(self, simulate: Simulate, pace: Pace) -> None:
        """Publish the blocks, paced where that was asked for, until they end or the feed is asked to stop. Each is
        simulated while the one before it is sent."""
        pacer: Pacer | None = None
        began = 0.0
        with simulated_ahead(simulate, stopping=self._report_and_ask) as simulated:
            for block, seconds in simulated:
                if pacer is None:
                    began, pacer = time.monotonic(), pace.start(block)
                going = self.publish(block) if pacer is None else self._publish_paced(block, pacer.due(block), began)
                if not going:
                    return
                self._states.walked(seconds)
                self._published = block, self._offsets()
                if self._states.due:
                    self._propose()

    def _propose(self) -> None:
        """Propose the state after the last block."""
        assert self._published is not None
        block, offsets = self._published
        self._states.propose(block.state, offsets)
        self._published = None

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

    def _offsets(self) -> dict[str, NDArray[np.int64]]:
        """The next offset of each partition of each topic behind all that was handed to librdkafka."""
        ticks, factors = self._ends[TICK], self._ends[FACTOR]
        return {
            ticks.topic: ticks.offsets + self._producer.partition_counts().messages,
            factors.topic: factors.offsets + self._producer.factor_messages,
        }

    def last_step(self) -> int:
        """The step up to which every partition of every topic holds the market for certain."""
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
        if self._published is not None:
            # Whatever the walk has cost: the next feed goes on at once, also where retention deletes all messages.
            self._states.settle()
            self._propose()
            self._states.acknowledged(self.last_step())

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
        counts = self._producer.partition_counts()
        self._states.acknowledged(self.last_step())
        newest = int(counts.acknowledged.max())
        self._control.report(Progress("feed", delivered.ticks, newest, delivered.in_flight, self._seconds()))
