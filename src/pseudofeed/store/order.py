"""Each partition holds its ticks once each and in order: step after step, within a step instrument after instrument.

So a partition with M instruments has one place for each tick, step * M + the instrument's rank in the partition, and
from tick to tick the place goes up by one. Anything else is a second feed, or messages that were lost. Behind a message
in quarantine places may be skipped, since its ticks are missing; going back is refused there, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pseudofeed.consume import Batch

__all__ = ["TickOrder"]


@dataclass(slots=True)
class _Newest:
    """The place of the newest tick; None: not known, the topic had lost its beginning."""

    place: int | None
    may_skip: bool
    stored: bool  # a tick of the partition is in the store


class TickOrder:
    """What must come next in each of `count` partitions. partitions: (N,) the partition of each instrument (or
    factor: `what`).
    """

    def __init__(self, partitions: NDArray[np.int32], count: int, *, what: str = "instrument") -> None:
        self._what = what
        self._members = np.bincount(partitions, minlength=count)
        self._rank = np.empty(len(partitions), np.int64)
        for partition, members in enumerate(self._members):
            self._rank[partitions == partition] = np.arange(members)
        self._partition = partitions
        self._newest: dict[int, _Newest] = {}

    def begin(self, partition: int, sequence: int | None, number: int | None, *, may_skip: bool) -> None:
        """The store's newest tick of a partition: its step (0: none yet; None: not known) and instrument's number."""
        place: int | None = None
        if sequence == 0:
            place = self._place(partition, 1, 0) - 1
        elif sequence is not None and number is not None:
            place = self._place(partition, sequence, int(self._rank[number]))
        self._newest[partition] = _Newest(place, may_skip, bool(sequence))

    def forget(self, partition: int) -> None:
        self._newest.pop(partition, None)

    def is_at_the_beginning(self, partition: int) -> bool:
        """Has no tick of it been stored yet?"""
        return not self._newest[partition].stored

    def take(self, batch: Batch) -> None:
        """The batch is stored."""
        newest = self._newest[batch.partition]
        newest.may_skip = self.may_skip_after(batch)
        if len(batch.columns):
            number = int(batch.columns.instrument[-1])
            newest.place = self._place(batch.partition, int(batch.columns.sequence[-1]), int(self._rank[number]))
            newest.stored = True

    def may_skip_after(self, batch: Batch) -> bool:
        """Does the batch end with a message that could not be read?"""
        if not len(batch.columns):
            return bool(batch.unreadable) or self._newest[batch.partition].may_skip
        return bool(batch.unreadable) and batch.unreadable[-1].before == len(batch.columns)

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the order of a batch that goes on where the partition is, or None."""
        columns = batch.columns
        if not len(columns):
            return None
        if int(columns.instrument.max()) >= len(self._partition):
            return f"{self._what} {columns.instrument.max()} is there, the market has {len(self._partition)}"
        ranks = np.where(self._partition == batch.partition, self._rank, -1)[columns.instrument]
        if int(ranks.min()) < 0:
            number = int(columns.instrument[int(ranks.argmin())])
            return f"{self._what} {number} is there, which belongs into partition {self._partition[number]}"
        places = columns.sequence * self._members[batch.partition] + ranks
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
        return sequence * int(self._members[partition]) + rank

    def _describe(self, partition: int, place: int) -> str:
        step, rank = divmod(place, int(self._members[partition]))
        number = int(np.flatnonzero(self._partition == partition)[rank])
        return f"step {step} of {self._what} {number}"
