"""The codec of a kind, chosen by its shape and key. It decodes the messages of a partition to columns, and one message
to its header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pseudofeed.encode._blocks import (
    decode_event_blocks,
    decode_factor_blocks,
    peek_event_block,
    peek_factor_block,
)
from pseudofeed.encode._encode import decode_ticks, peek_ticks
from pseudofeed.encode.header import MessageHeader
from pseudofeed.market import Market
from pseudofeed.records import ColumnMemory, Columns, Key, Kind, Shape

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Codec", "Decode", "codec_of"]


class Decode(Protocol):
    """Decodes messages of a partition to rows, in `memory` if it is given and of use. Raises MalformedMessage with the
    index of the first bad message."""

    def __call__(
        self, messages: Sequence[Buffer], partition: int, memory: ColumnMemory | None = None, /
    ) -> Columns: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """peek: decodes one message's header, after the same checks as `decode`. Raises MalformedMessage."""

    decode: Decode
    peek: Callable[[Buffer], MessageHeader]


def codec_of(kind: Kind, market: Market, fingerprint: int) -> Codec:
    """The codec for messages of a market with that fingerprint. Raises ValueError for a kind without rows."""
    if kind.shape is Shape.DENSE and kind.key is Key.INSTRUMENT:

        def ticks(messages: Sequence[Buffer], partition: int, memory: ColumnMemory | None = None, /) -> Columns:
            return decode_ticks(messages, fingerprint=fingerprint, partition=partition, memory=memory)

        return Codec(ticks, peek_ticks)
    if kind.shape is Shape.DENSE:
        count = len(kind.key.names(market))

        def factors(messages: Sequence[Buffer], partition: int, memory: ColumnMemory | None = None, /) -> Columns:
            return decode_factor_blocks(
                messages, fingerprint=fingerprint, partition=partition, factors=count, memory=memory
            )

        return Codec(factors, peek_factor_block)
    if kind.shape is Shape.EVENTS:

        def events(messages: Sequence[Buffer], partition: int, _: ColumnMemory | None = None, /) -> Columns:
            return decode_event_blocks(kind, messages, fingerprint=fingerprint, partition=partition)

        return Codec(events, lambda message: peek_event_block(kind, message))
    raise ValueError(f"messages of {kind.topic} hold no rows")
