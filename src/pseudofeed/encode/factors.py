"""Factors in columns: what decoding factor blocks gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FactorBlockHeader", "FactorColumns"]


@dataclass(frozen=True, slots=True)
class FactorBlockHeader:
    """What one factor block holds, without its values.

    fingerprint: of the market's specification, unsigned 64 bits. first_step: sequence of the first of `steps` steps.
    factors: K, all of the market's.
    """

    fingerprint: int
    first_step: int
    steps: int
    factors: int
    partition: int

    @property
    def last_step(self) -> int:
        return self.first_step + self.steps - 1


@dataclass(frozen=True, slots=True, eq=False)
class FactorColumns:
    """The factors of consecutive messages, a row a step.

    time: int64 (T,), ns since the epoch, UTC. sequence: int64 (T,), the step. increments: float64 (T, K), of the step
    that ends at that time. levels: float64 (T, K), after it. Raises ValueError where shapes don't fit each other.
    """

    time: NDArray[np.int64]
    sequence: NDArray[np.int64]
    increments: NDArray[np.float64]
    levels: NDArray[np.float64]

    def __post_init__(self) -> None:
        steps = len(self.time)
        fit = len(self.sequence) == steps and self.increments.shape == self.levels.shape == (steps, self.factors)
        if not fit:
            raise ValueError(
                f"time {self.time.shape}, sequence {self.sequence.shape}, increments {self.increments.shape} and "
                f"levels {self.levels.shape} don't fit each other"
            )

    def __len__(self) -> int:
        return len(self.time)

    @property
    def factors(self) -> int:
        return int(self.increments.shape[-1])

    @classmethod
    def empty(cls, steps: int, factors: int) -> FactorColumns:
        """Columns of that shape whose values are not set yet."""
        return cls(
            time=np.empty(steps, np.int64),
            sequence=np.empty(steps, np.int64),
            increments=np.empty((steps, factors)),
            levels=np.empty((steps, factors)),
        )
