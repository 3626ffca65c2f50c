"""Rows of a kind in columns: decoders return them, and sinks take them.

Each column is an array with one entry per row, in order of arrival: by message, then by step, then by number. So the
sequences of one number ascend, and so do its times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.records._memory import ColumnMemory
from pseudofeed.records.kind import Kind, Shape

__all__ = ["Columns"]

Array = NDArray[Any]


class Columns:
    """Rows of one kind; `len(columns)` is how many. Arrays are (rows,), by name: `columns["price"]`.

    time: int64, ns since 1970, UTC. sequence: int64, the step (1, 2, ...). number: int32, of the instrument or
    factor in its market. Of events, event: uint16, counts them within number and step, and `spans`: int64 (messages,
    5), the steps that each message covers: its first and last step, the number of its first event in the partition and
    step, 1 if its last step continues in the next message, and its rows; empty if these rows were selected from others.
    """

    __slots__ = ("_arrays", "kind", "number", "sequence", "spans", "time")

    def __init__(self, kind: Kind, *arrays: Array, spans: NDArray[np.int64] | None = None) -> None:
        """arrays: in the order of `kind.names`. Raises ValueError if one is missing, or lengths differ."""
        self._arrays: dict[str, Array] = dict(zip(kind.names, arrays, strict=True))
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns of {kind.topic} have different lengths: {lengths}")
        self.kind = kind
        self.time: NDArray[np.int64] = self._arrays["time"]
        self.sequence: NDArray[np.int64] = self._arrays["sequence"]
        self.number: NDArray[np.int32] = self._arrays["number"]
        self.spans = np.empty((0, 5), np.int64) if spans is None else spans

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {self.kind.topic}: {', '.join(self._arrays)}>"

    @property
    def arrays(self) -> tuple[Array, ...]:
        """In the order of `kind.names`."""
        return tuple(self._arrays.values())

    def where(self, chosen: NDArray[np.bool_]) -> Columns:
        """The rows for which `chosen`, (rows,), is true; the same object if it is true for all."""
        return self if chosen.all() else self.take(chosen)

    def take(self, index: NDArray[Any] | slice) -> Columns:
        """The rows at a NumPy index."""
        return Columns(self.kind, *(array[index] for array in self._arrays.values()))

    def with_sequence(self, sequence: NDArray[np.int64]) -> Columns:
        """The same rows with other steps."""
        return Columns(self.kind, self.time, sequence, *self.arrays[2:])

    @classmethod
    def concatenate(cls, kind: Kind, parts: Sequence[Columns]) -> Columns:
        """The rows of all parts, one part after the other. A single part is not copied."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty(kind)
        joined = (np.concatenate(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True))
        return cls(kind, *joined, spans=np.concatenate([part.spans for part in parts]))

    @classmethod
    def empty(cls, kind: Kind, length: int = 0, memory: ColumnMemory | None = None) -> Columns:
        """Columns of that length with undefined values, in `memory` or in new arrays."""
        if memory is None:
            return cls(kind, *(np.empty(length, dtype) for dtype in kind.dtypes))
        return cls(kind, *memory.arrays(length, kind.dtypes))

    @classmethod
    def dense(
        cls, kind: Kind, first_step: int, time: NDArray[np.int64], numbers: NDArray[np.int64], *values: Array
    ) -> Columns:
        """The rows of a dense kind, step after step. time: (T,). values: (T, members) for each field."""
        if kind.shape is not Shape.DENSE:
            raise ValueError(f"{kind.topic} are not dense")
        steps, count = len(time), len(numbers)
        return cls(
            kind,
            np.repeat(time, count),
            np.repeat(np.arange(first_step, first_step + steps, dtype=np.int64), count),
            np.tile(numbers.astype(np.int32), steps),
            *(np.ascontiguousarray(array).ravel() for array in values),
        )
