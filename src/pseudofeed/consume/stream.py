"""The topics of a market that workers read: what they are called, how many partitions they have, what is in them.

Factors come as ticks do, for a sink's sake: one entry a factor and step, its number in `instrument`, increment and
level in `price` and `variance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import factor_topic, tick_topic
from pseudofeed.encode import (
    ColumnMemory,
    TickColumns,
    decode_factor_blocks,
    decode_ticks,
    peek_factor_block,
    peek_ticks,
)

__all__ = ["Stream", "factor_stream", "tick_stream"]


class Decode(Protocol):
    """Messages of a partition to columns, in `memory` if there is one and if it pays. Raises MalformedMessage."""

    def __call__(
        self, messages: Sequence[bytes], partition: int, memory: ColumnMemory | None = None, /
    ) -> TickColumns: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """topic: its name; partitions: how many it has. fingerprint_of: one message to its market's fingerprint; it raises
    MalformedMessage, as `decode` does. optional: a feed of an older version may not have made it.
    """

    topic: str
    partitions: int
    fingerprint: int
    decode: Decode
    fingerprint_of: Callable[[bytes], int]
    optional: bool = False


def tick_stream(record: MarketRecord) -> Stream:
    def decode(messages: Sequence[bytes], partition: int, memory: ColumnMemory | None = None) -> TickColumns:
        return decode_ticks(messages, fingerprint=record.fingerprint, partition=partition, memory=memory)

    return Stream(
        tick_topic(record.name),
        record.partitions,
        record.fingerprint,
        decode,
        lambda message: peek_ticks(message).fingerprint,
    )


def factor_stream(record: MarketRecord) -> Stream:
    factors = len(record.market.factors.names)
    numbers = np.arange(factors, dtype=np.int32)

    def decode(messages: Sequence[bytes], partition: int, _: ColumnMemory | None = None) -> TickColumns:
        found = decode_factor_blocks(messages, fingerprint=record.fingerprint, partition=partition, factors=factors)
        return TickColumns(
            time=np.repeat(found.time, factors),
            sequence=np.repeat(found.sequence, factors),
            instrument=np.tile(numbers, len(found)),
            price=found.increments.ravel(),
            variance=found.levels.ravel(),
        )

    return Stream(
        factor_topic(record.name),
        1,
        record.fingerprint,
        decode,
        lambda message: peek_factor_block(message).fingerprint,
        optional=True,
    )
