"""Some steps of the simulation, in which rows are looked up: by step and member where every member has a row in every
step, by a search where events come as they like."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pseudofeed.records import Columns, Kind, Shape
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.rows import block_rows

__all__ = ["Window", "describe_row", "open_window"]


class Window(Protocol):
    """The rows that must be there, each with a place from 0 on, and which of them were seen, bool (places,)."""

    first_step: int
    last_step: int
    seen: NDArray[np.bool_]

    def find(self, rows: Columns, index: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of these of the rows, -1 for one that must not be there. column: of each, its member's among the
        members."""
        ...

    def differs(self, rows: Columns, index: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whose bits are not those at its place."""
        ...

    def key(self, place: int) -> tuple[int, int]:
        """Step and number."""
        ...

    def describe(self, place: int) -> str: ...


def open_window(kind: Kind, block: TickBlock, members: NDArray[np.int64]) -> Window:
    """The rows of a kind in a block that was simulated of these members."""
    return (_Dense if kind.shape is Shape.DENSE else _Events)(kind, block, members)


def describe_row(rows: Columns, index: int) -> str:
    """A row for a person, to the last digit."""
    values = {field.name: rows[field.name][index] for field in rows.kind.fields}
    return _describe(int(rows.time[index]), values)


def _describe(time: int, values: dict[str, Any]) -> str:
    parts = [f"{name} {value.item()!r}" for name, value in values.items()]
    return " ".join([f"{np.datetime64(time, 'ns')}Z", *parts])


def _bits_differ(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    if found.dtype.kind == "f":
        differs: NDArray[np.bool_] = np.ascontiguousarray(found).view(np.int64) != expected.view(np.int64)
        return differs
    return np.asarray(found != expected)


class _Dense:
    """Place: step x members + column. Nothing is copied: a block's arrays are (T, members)."""

    def __init__(self, kind: Kind, block: TickBlock, members: NDArray[np.int64]) -> None:
        self.first_step, self.last_step = block.first_step, block.last_step
        self._time, self._members = block.time, members
        self._values = {field.name: getattr(block, field.array).ravel() for field in kind.fields}
        self.seen = np.zeros(len(block.time) * len(members), np.bool_)

    def find(self, rows: Columns, index: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        place: NDArray[np.int64] = (rows.sequence[index] - self.first_step) * len(self._members) + column
        return place

    def differs(self, rows: Columns, index: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = rows.time[index] != self._time[place // len(self._members)]
        for name, values in self._values.items():
            found |= _bits_differ(rows[name][index], values[place])
        return found

    def key(self, place: int) -> tuple[int, int]:
        row, column = divmod(place, len(self._members))
        return self.first_step + row, int(self._members[column])

    def describe(self, place: int) -> str:
        time = int(self._time[place // len(self._members)])
        return _describe(time, {name: values[place] for name, values in self._values.items()})


class _Events:
    """Place: of the simulated events, ascending by step, number and event."""

    def __init__(self, kind: Kind, block: TickBlock, members: NDArray[np.int64]) -> None:
        self.first_step, self.last_step = block.first_step, block.last_step
        self._rows = block_rows(kind, block, members)
        column = np.searchsorted(members, self._rows.number)
        self._count = len(members)
        self._keys = self._key(self._rows.sequence, column, self._rows["event"])
        self.seen = np.zeros(len(self._rows), np.bool_)

    def find(self, rows: Columns, index: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        keys = self._key(rows.sequence[index], column, rows["event"][index])
        place = np.searchsorted(self._keys, keys)
        there = place < len(self._keys)
        there[there] = self._keys[place[there]] == keys[there]
        return np.where(there, place, -1)

    def differs(self, rows: Columns, index: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = rows.time[index] != self._rows.time[place]
        for field in rows.kind.fields:
            found |= _bits_differ(rows[field.name][index], self._rows[field.name][place])
        return found

    def key(self, place: int) -> tuple[int, int]:
        return int(self._rows.sequence[place]), int(self._rows.number[place])

    def describe(self, place: int) -> str:
        return describe_row(self._rows, place)

    def _key(self, sequence: NDArray[np.int64], column: NDArray[Any], event: NDArray[Any]) -> NDArray[np.int64]:
        key: NDArray[np.int64] = ((sequence - self.first_step) * self._count + column << 16) + event.astype(np.int64)
        return key
