"""The codec of a kind, which follows from its shape and key: messages of a partition to columns, one message to its
header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import Buffer

from pseudofeed.encode._blocks import (
    decode_event_blocks,
    decode_factor_blocks,
    peek_event_block,
    peek_factor_block,
)
from pseudofeed.encode._encode import decode_ticks, peek_ticks
from pseudofeed.encode.header import MessageHeader
from pseudofeed.market import Market
from pseudofeed.records import Columns, Key, Kind, Shape

__all__ = ["Codec", "codec_of"]


@dataclass(frozen=True, slots=True)
class Codec:
    """decode: messages and their partition to the rows that they hold. peek: one message to its header, after the same
    checks. Both raise MalformedMessage; decode gives it the index of the first bad message."""

    decode: Callable[[Sequence[Buffer], int], Columns]
    peek: Callable[[Buffer], MessageHeader]


def codec_of(kind: Kind, market: Market, fingerprint: int) -> Codec:
    """For the messages of a market with that fingerprint. ValueError for a kind that has no rows."""
    if kind.shape is Shape.DENSE and kind.key is Key.INSTRUMENT:
        return Codec(lambda messages, p: decode_ticks(messages, fingerprint=fingerprint, partition=p), peek_ticks)
    if kind.shape is Shape.DENSE:
        count = len(kind.key.names(market))
        return Codec(
            lambda messages, p: decode_factor_blocks(messages, fingerprint=fingerprint, partition=p, factors=count),
            peek_factor_block,
        )
    if kind.shape is Shape.EVENTS:
        return Codec(
            lambda messages, p: decode_event_blocks(kind, messages, fingerprint=fingerprint, partition=p),
            lambda message: peek_event_block(kind, message),
        )
    raise ValueError(f"messages of {kind.topic} hold no rows")
