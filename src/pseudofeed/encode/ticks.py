"""Ticks in columns: what decoding gives and the sinks take.

One array a field and one entry a tick, in the order of arrival: messages in order, within a message step after step,
within a step the instruments of the partition, numbers ascending. So within an instrument sequences and times ascend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._memory import ColumnMemory

__all__ = ["TickColumns", "TicksHeader"]

DTYPES = (np.int64, np.int64, np.int32, np.float64, np.float64)


@dataclass(frozen=True, slots=True)
class TicksHeader:
    """What one message with ticks holds, without their values: a tick block, or a single tick (SBE or JSON).

    fingerprint: of the market's specification, unsigned 64 bits. first_step: sequence of the first of `steps` steps.
    instruments: how many of the market's instruments it has. partition: None in JSON, which doesn't carry it.
    number: of a single tick's instrument, which is in the partition with others; None for a block, which has them all.
    """

    fingerprint: int
    first_step: int
    steps: int
    instruments: int
    partition: int | None
    number: int | None = None

    @property
    def last_step(self) -> int:
        return self.first_step + self.steps - 1

    @property
    def ticks(self) -> int:
        return self.steps * self.instruments


@dataclass(frozen=True, slots=True, eq=False)
class TickColumns:
    """Ticks, one entry each in five C-contiguous arrays of one length (`len(columns)`).

    time: int64, ns since the epoch, UTC. sequence: int64, the step (1, 2, ...). instrument: int32, the number in
    the market. price, variance: float64; variance is the scheme's own, which may dip below zero.
    Raises ValueError where lengths differ.
    """

    time: NDArray[np.int64]
    sequence: NDArray[np.int64]
    instrument: NDArray[np.int32]
    price: NDArray[np.float64]
    variance: NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns of ticks have different lengths: {lengths}")

    def __len__(self) -> int:
        return len(self.time)

    def where(self, chosen: NDArray[np.bool_]) -> TickColumns:
        """The ticks for which `chosen`, (length,), is true; themselves where that is all of them."""
        if chosen.all():
            return self
        return TickColumns(
            time=self.time[chosen],
            sequence=self.sequence[chosen],
            instrument=self.instrument[chosen],
            price=self.price[chosen],
            variance=self.variance[chosen],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[TickColumns]) -> TickColumns:
        """The ticks of all parts, one part after the other; without copying where there is one part only."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        return cls(
            time=np.concatenate([part.time for part in parts]),
            sequence=np.concatenate([part.sequence for part in parts]),
            instrument=np.concatenate([part.instrument for part in parts]),
            price=np.concatenate([part.price for part in parts]),
            variance=np.concatenate([part.variance for part in parts]),
        )

    @classmethod
    def empty(cls, length: int = 0, memory: ColumnMemory | None = None) -> TickColumns:
        """Columns of that length whose values are not set yet; from `memory`, or new."""
        arrays: Sequence[NDArray[Any]] = (
            [np.empty(length, dtype) for dtype in DTYPES] if memory is None else memory.arrays(length, DTYPES)
        )
        return cls(*arrays)
