"""Bars in columns: what bar blocks are made from and decoded to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["BarBlockHeader", "BarColumns"]


@dataclass(frozen=True, slots=True)
class BarBlockHeader:
    """What one bar block holds, without its bars.

    fingerprint: of the market's specification, unsigned 64 bits. sequence: the newest step that its writer had taken
    in. length_ns: of each bar. final: these bars don't change any more (otherwise each replaces the one before it).
    """

    fingerprint: int
    sequence: int
    partition: int
    length_ns: int
    final: bool
    bars: int


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Bars, one entry each in eleven C-contiguous arrays of one length (`len(columns)`).

    opening_time: int64, ns since the epoch, UTC: the bar is [opening_time, opening_time + length). instrument: int32,
    the number in the market. open, high, low, close: float64, prices. ticks: uint32, how many there were.
    first_sequence, last_sequence: int64, steps of the first and the last of them. length: int64, ns. final: bool.
    Raises ValueError where lengths differ.
    """

    opening_time: NDArray[np.int64]
    instrument: NDArray[np.int32]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    ticks: NDArray[np.uint32]
    first_sequence: NDArray[np.int64]
    last_sequence: NDArray[np.int64]
    length: NDArray[np.int64]
    final: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns of bars have different lengths: {lengths}")

    def __len__(self) -> int:
        return len(self.opening_time)

    @classmethod
    def empty(cls, bars: int = 0) -> BarColumns:
        """Columns of that length whose values are not set yet."""
        return cls(
            opening_time=np.empty(bars, np.int64),
            instrument=np.empty(bars, np.int32),
            open=np.empty(bars),
            high=np.empty(bars),
            low=np.empty(bars),
            close=np.empty(bars),
            ticks=np.empty(bars, np.uint32),
            first_sequence=np.empty(bars, np.int64),
            last_sequence=np.empty(bars, np.int64),
            length=np.empty(bars, np.int64),
            final=np.empty(bars, np.bool_),
        )
