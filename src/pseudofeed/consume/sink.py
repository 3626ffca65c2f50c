"""The interface that a stage implements for `consume_kind`: it knows its positions, and writes batches.

Only a sink's own record of its positions counts: the offsets that Kafka keeps for the group are for lag displays. All
methods of one sink except `give_up` run in one thread (its lane's), one after the other, so it needs no locks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pseudofeed.bus.topics import TopicInfo
from pseudofeed.errors import TopicError
from pseudofeed.records import Columns

__all__ = ["Batch", "Sink", "Unreadable", "WorkerSummary", "position_within"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that could not be decoded, or that does not belong here.

    before: how many of its batch's rows came before it. foreign: it is whole, but carries another market's
    fingerprint.
    """

    offset: int
    value: bytes
    reason: str
    before: int
    foreign: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive messages of one partition: from where reading went on, `from_offset`, to before `to_offset`.

    columns: the rows of those that could be read. unreadable: the others, by offset. seconds: since the first message
    was read of this batch or those that are written with it.
    """

    partition: int
    from_offset: int
    to_offset: int
    columns: Columns
    unreadable: tuple[Unreadable, ...] = ()
    seconds: float = 0.0

    @property
    def last_step(self) -> int:
        """The last step of the batch; 0 if no message could be read."""
        if len(self.columns.spans):
            return int(self.columns.spans[-1, 1])
        return int(self.columns.sequence[-1]) if len(self.columns) else 0


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """What a worker did. seconds: from the first tick's arrival to the last one's commit, including the sinks' deferred
    work. last_step: 0 if no tick arrived. unreadable: messages that are not ticks of this market.
    """

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int
    unreadable: int


class Sink(Protocol):
    """Receives batches. While a server is away, methods may block without limit, until `give_up`. An exception ends the
    worker, except OffsetConflict from `write`: then its batches are dropped and `positions` is called again.
    """

    def positions(self, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, int]:
        """The offset to read next in each partition. Raises TopicError where the topic does not fit what is stored."""
        ...

    def write(self, batches: Sequence[Batch]) -> None:
        """Write the batches (at most one per partition), all or none. As long as code keeps their columns, or views of
        them, their memory is not reused."""
        ...

    def drop(self, partitions: Sequence[int]) -> None:
        """Another worker has these partitions now: forget them."""
        ...

    def idle(self) -> None:
        """Called about once a second while there is nothing to write."""
        ...

    def finish(self) -> bool:
        """Called when the worker shuts down cleanly, after the last write: do deferred work; True if there was any."""
        ...

    def give_up(self) -> None:
        """Called from another thread when the worker ends: raise ServerError instead of waiting for a server."""
        ...

    def close(self) -> None:
        """Close connections. Called once, in every case."""
        ...


def position_within(name: str, topic: TopicInfo, partition: int, offset: int, holder: str) -> int:
    """`offset`, if the topic has everything from there on; otherwise raises TopicError. holder: who continues there,
    for the message.
    """
    low, high = int(topic.low[partition]), int(topic.high[partition])
    if offset < low:
        raise TopicError(
            f"topic {name} partition {partition}: {holder} continues at offset {offset}, but the topic starts at {low} "
            f"by now: {low - offset} messages were deleted before they were read. This worker stops instead of leaving "
            f"a gap; give the topic a longer retention"
        )
    if offset > high:
        raise TopicError(
            f"topic {name} partition {partition}: {holder} continues at offset {offset}, but the topic ends at {high}: "
            f"it was deleted and recreated, or lost messages"
        )
    return offset
