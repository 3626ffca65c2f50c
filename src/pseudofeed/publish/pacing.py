"""When a step is due: open loop, from intended times, so that a late step does not make the following ones late.

A feed that waited "one interval after the last step" would drift, and would hide its own delays from whoever measures
latency (coordinated omission). Here the time of every step is fixed when the feed starts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pseudofeed.publish.producer import Ticks

__all__ = ["Pacer", "RatePacer", "SpeedPacer"]


class Pacer(Protocol):
    def due(self, block: Ticks) -> NDArray[np.float64]:
        """When each step of the block is due, (T,), on time.monotonic's clock."""
        ...


@dataclass(frozen=True, slots=True)
class RatePacer:
    """A step every `step_seconds`, whatever the market's own time."""

    started: float
    first_step: int
    step_seconds: float

    def due(self, block: Ticks) -> NDArray[np.float64]:
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
        """Event time is the clock's time: a market that was not fed for a while catches up first."""
        return cls(time.monotonic(), time.time_ns(), 1.0)

    def due(self, block: Ticks) -> NDArray[np.float64]:
        return np.asarray(self.started + (block.time - self.origin_ns) * (1e-9 / self.speed))
