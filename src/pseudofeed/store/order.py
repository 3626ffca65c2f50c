"""Checks that a partition has each record once and in order. The next record is always known:

Dense kinds: step after step, within a step member after member (instrument or factor). So a partition with M members
has one place for each row, step * M + the member's rank in the partition, and the place increases by one per row.
Event kinds: each block states the steps that it covers. So the next one begins with the step after them, or in the
middle of the last one, if that is unfinished.

Anything else comes from a second feed, or from lost messages. After a message in quarantine, places may be skipped,
since its rows are missing; going back is an error there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pseudofeed.consume import Batch
from pseudofeed.encode import members_of
from pseudofeed.records import Kind, Shape

__all__ = ["DenseOrder", "EventOrder", "Order", "Reached", "order_of"]


class Reached(NamedTuple):
    """The progress of a batch: its first and last step, None if it has none. number: of a dense kind, the last row's
    member; of an event kind, how many events of the last step there are so far, None if the step is finished."""

    first: int | None = None
    last: int | None = None
    number: int | None = None


class Order(Protocol):
    """The next expected record in each partition of a topic."""

    def begin(self, partition: int, last: int | None, number: int | None, *, may_skip: bool) -> None:
        """What the store has of a partition, as `reached` said of the newest batch. last 0: nothing yet; None: not
        known. may_skip: the last message read is in quarantine."""
        ...

    def forget(self, partition: int) -> None: ...

    def is_at_the_beginning(self, partition: int) -> bool:
        """Whether no row of it has been stored yet."""
        ...

    def reached(self, batch: Batch) -> Reached: ...

    def take(self, batch: Batch) -> None:
        """The batch is stored."""
        ...

    def may_skip_after(self, batch: Batch) -> bool:
        """Whether the batch ends with a message that could not be read."""
        ...

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the order of a batch that continues at the partition's position, or None."""
        ...


def order_of(kind: Kind, partitions: NDArray[np.int32], count: int) -> Order:
    """partitions: (N,) the partition of each member, one of `count`."""
    return (EventOrder if kind.shape is Shape.EVENTS else DenseOrder)(partitions, count, what=kind.key.value)


class _Members:
    """The members of each partition. what: the word for one."""

    def __init__(self, partitions: NDArray[np.int32], count: int, what: str) -> None:
        self.what, self.partition = what, partitions
        self.numbers = members_of(partitions, count)
        self.counts = np.array([len(own) for own in self.numbers])
        self.rank = np.empty(len(partitions), np.int64)
        for own in self.numbers:
            self.rank[own] = np.arange(len(own))

    def problem(self, batch: Batch) -> str | None:
        """Whether a row belongs to a member of another partition."""
        numbers = batch.columns.number
        if not len(numbers):
            return None
        if int(numbers.max()) >= len(self.partition):
            return f"{self.what} {numbers.max()} is there, the market has {len(self.partition)}"
        strange = self.partition[numbers] != batch.partition
        if not strange.any():
            return None
        number = int(numbers[int(strange.argmax())])
        return f"{self.what} {number} is there, which belongs into partition {self.partition[number]}"


@dataclass(slots=True)
class _NewestRow:
    """The place of the newest row; None: not known, the topic had lost its beginning."""

    place: int | None
    may_skip: bool
    stored: bool  # a row of the partition is in the store


class DenseOrder:
    """The order of a dense kind."""

    def __init__(self, partitions: NDArray[np.int32], count: int, *, what: str = "instrument") -> None:
        self._members = _Members(partitions, count, what)
        self._newest: dict[int, _NewestRow] = {}

    def begin(self, partition: int, last: int | None, number: int | None, *, may_skip: bool) -> None:
        place: int | None = None
        if last == 0:
            place = self._place(partition, 1, 0) - 1
        elif last is not None and number is not None:
            place = self._place(partition, last, int(self._members.rank[number]))
        self._newest[partition] = _NewestRow(place, may_skip, bool(last))

    def forget(self, partition: int) -> None:
        self._newest.pop(partition, None)

    def is_at_the_beginning(self, partition: int) -> bool:
        return not self._newest[partition].stored

    def reached(self, batch: Batch) -> Reached:
        columns = batch.columns
        if not len(columns):
            return Reached()
        return Reached(int(columns.sequence[0]), int(columns.sequence[-1]), int(columns.number[-1]))

    def take(self, batch: Batch) -> None:
        newest = self._newest[batch.partition]
        newest.may_skip = self.may_skip_after(batch)
        _, last, number = self.reached(batch)
        if last is not None and number is not None:
            newest.place = self._place(batch.partition, last, int(self._members.rank[number]))
            newest.stored = True

    def may_skip_after(self, batch: Batch) -> bool:
        if not len(batch.columns):
            return bool(batch.unreadable) or self._newest[batch.partition].may_skip
        return bool(batch.unreadable) and batch.unreadable[-1].before == len(batch.columns)

    def problem(self, batch: Batch) -> str | None:
        columns = batch.columns
        if not len(columns):
            return None
        if (strange := self._members.problem(batch)) is not None:
            return strange
        places = columns.sequence * self._members.counts[batch.partition] + self._members.rank[columns.number]
        newest = self._newest[batch.partition]
        before = newest.place if newest.place is not None else int(places[0]) - 1
        ahead = np.diff(places, prepend=before)
        skipping = np.zeros(len(places), np.bool_)
        skipping[[message.before for message in batch.unreadable if message.before < len(places)]] = True
        skipping[0] |= newest.may_skip
        wrong = (ahead != 1) & ~(skipping & (ahead > 0))
        if not wrong.any():
            return None
        at = int(wrong.argmax())
        expected = (int(places[at - 1]) if at else before) + 1
        found = int(places[at])
        return f"expected {self._describe(batch.partition, expected)}, found {self._describe(batch.partition, found)}"

    def _place(self, partition: int, sequence: int, rank: int) -> int:
        return sequence * int(self._members.counts[partition]) + rank

    def _describe(self, partition: int, place: int) -> str:
        step, rank = divmod(place, int(self._members.counts[partition]))
        number = self._members.numbers[partition][rank]
        return f"step {step} of {self._members.what} {number}"


class _Place(NamedTuple):
    """The next event of a partition: its step, and its number in the step."""

    step: int
    event: int

    def __str__(self) -> str:
        return f"step {self.step} from event {self.event} on"


@dataclass(slots=True)
class _NextEvent:
    """place: None: not known, the topic had lost its beginning."""

    place: _Place | None
    may_skip: bool
    stored: bool


class EventOrder:
    """The order of an event kind, by the spans of its blocks."""

    def __init__(self, partitions: NDArray[np.int32], count: int, *, what: str = "instrument") -> None:
        self._members = _Members(partitions, count, what)
        self._next: dict[int, _NextEvent] = {}

    def begin(self, partition: int, last: int | None, number: int | None, *, may_skip: bool) -> None:
        place = None
        if last is not None:
            place = _Place(last + 1, 0) if number is None else _Place(last, number)
        self._next[partition] = _NextEvent(place, may_skip, bool(last))

    def forget(self, partition: int) -> None:
        self._next.pop(partition, None)

    def is_at_the_beginning(self, partition: int) -> bool:
        return not self._next[partition].stored

    def reached(self, batch: Batch) -> Reached:
        spans = batch.columns.spans
        if not len(spans):
            return Reached()
        behind, last = self._behind(batch)[-1], int(spans[-1, 1])
        return Reached(int(spans[0, 0]), last, behind.event if behind.step == last else None)

    def take(self, batch: Batch) -> None:
        newest = self._next[batch.partition]
        newest.may_skip = self.may_skip_after(batch)
        if len(batch.columns.spans):
            newest.place, newest.stored = self._behind(batch)[-1], True

    def may_skip_after(self, batch: Batch) -> bool:
        if not len(batch.columns.spans):
            return bool(batch.unreadable) or self._next[batch.partition].may_skip
        return bool(batch.unreadable) and batch.unreadable[-1].before == len(batch.columns)

    def problem(self, batch: Batch) -> str | None:
        if (strange := self._members.problem(batch)) is not None:
            return strange
        newest = self._next[batch.partition]
        expected, skipping = newest.place, newest.may_skip
        begins = np.cumsum(batch.columns.spans[:, 4]) - batch.columns.spans[:, 4]
        gaps = {message.before for message in batch.unreadable}
        for span, begin, behind in zip(batch.columns.spans, begins, self._behind(batch), strict=True):
            found = _Place(int(span[0]), int(span[2]))
            skipping |= int(begin) in gaps
            if expected is not None and found != expected and not (skipping and found > expected):
                return f"expected {expected}, found {found}"
            expected, skipping = behind, False
        return None

    def _behind(self, batch: Batch) -> list[_Place]:
        """The place after each of the batch's blocks."""
        places, end = [], 0
        for first, last, first_event, more, rows in batch.columns.spans.tolist():
            begin, end = end, end + rows
            if more:
                within = int(np.count_nonzero(batch.columns.sequence[begin:end] == last))
                places.append(_Place(last, within + (first_event if first == last else 0)))
            else:
                places.append(_Place(last + 1, 0))
        return places
