"""When a step is due: by intended times (open loop), so that a late step does not delay the following ones.

A feed that waited "one interval after the last step" would drift, and latency measurements would not show its own
delays (coordinated omission). Here the time of every step is fixed when the feed starts.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pseudofeed.simulate.paths import TickBlock

__all__ = ["Pacer", "PacingError", "PacingSummary", "RatePacer", "SpeedPacer"]


class Pacer(Protocol):
    def due(self, block: TickBlock) -> NDArray[np.float64]:
        """When each step of the block is due, (T,), on time.monotonic's clock."""
        ...


@dataclass(frozen=True, slots=True)
class RatePacer:
    """One step every `step_seconds`, independent of the market's own time."""

    started: float
    first_step: int
    step_seconds: float

    def due(self, block: TickBlock) -> NDArray[np.float64]:
        steps = np.arange(len(block.time)) + (block.first_step - self.first_step)
        return np.asarray(self.started + steps * self.step_seconds)


@dataclass(frozen=True, slots=True)
class SpeedPacer:
    """Event time runs `speed` times as fast as the clock; `origin_ns` is the event time at `started`."""

    started: float
    origin_ns: int
    speed: float

    @classmethod
    def live(cls) -> SpeedPacer:
        """Event time is wall time: a market that was not fed for a while catches up first."""
        return cls(time.monotonic(), time.time_ns(), 1.0)

    def due(self, block: TickBlock) -> NDArray[np.float64]:
        return np.asarray(self.started + (block.time - self.origin_ns) * (1e-9 / self.speed))


@dataclass(frozen=True, slots=True)
class PacingSummary:
    """Delay between the intended time of a step and its hand-over to librdkafka, in ms: median, 99 %, maximum."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class PacingError:
    """A histogram of the delays of steps: 400 buckets, each 5 % wider than the one before, from 1 us to 300 s."""

    _WIDTH = math.log(1.05)
    _LEAST = 1e-6

    def __init__(self) -> None:
        self._counts = np.zeros(400, dtype=np.int64)
        self._most = 0.0

    def record(self, late: NDArray[np.float64]) -> None:
        """late: seconds, one entry a step."""
        buckets = np.ceil(np.log(np.maximum(late, self._LEAST) / self._LEAST) / self._WIDTH).astype(np.int64)
        np.add.at(self._counts, np.minimum(buckets, len(self._counts) - 1), 1)
        self._most = max(self._most, float(late.max(initial=0.0)))

    def summary(self) -> PacingSummary | None:
        """None before the first step. A quantile is its bucket's upper edge: at most 5 % above the true value."""
        reached = np.cumsum(self._counts)
        if reached[-1] == 0:
            return None

        def quantile(share: float) -> float:
            bucket = int(np.searchsorted(reached, share * reached[-1]))
            return 1000 * min(self._LEAST * math.exp(bucket * self._WIDTH), self._most)

        return PacingSummary(quantile(0.5), quantile(0.99), 1000 * self._most)
