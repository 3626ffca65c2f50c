"""A sink in memory, for tests of the loop that reads a topic."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from pseudofeed.bus.topics import TopicInfo
from pseudofeed.consume import Batch


class Recorder:
    """A sink in memory. It starts partitions at `start`, and does `before` ahead of each write."""

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.next: dict[int, int] = {}
        self.batches: list[Batch] = []
        self.asked: list[tuple[int, ...]] = []
        self.closed = 0
        self.gave_up = threading.Event()

    def before(self, batches: Sequence[Batch]) -> None:
        del batches

    def positions(self, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, int]:
        del topic
        self.asked.append(tuple(partitions))
        return {partition: self.next.setdefault(partition, self.start) for partition in partitions}

    def write(self, batches: Sequence[Batch]) -> None:
        self.before(batches)
        for batch in batches:
            assert batch.from_offset == self.next[batch.partition]
            self.next[batch.partition] = batch.to_offset
        self.batches += batches

    def drop(self, partitions: Sequence[int]) -> None:
        del partitions

    def idle(self) -> None:
        pass

    def finish(self) -> bool:
        return False

    def give_up(self) -> None:
        self.gave_up.set()

    def close(self) -> None:
        self.closed += 1

    def sequences(self, partition: int) -> list[int]:
        """The steps of a partition's first instrument, in the order of writing."""
        found: list[int] = []
        for batch in self.batches:
            if batch.partition == partition:
                columns = batch.columns
                found += columns.sequence[columns.number == columns.number.min()].tolist()
        return found
