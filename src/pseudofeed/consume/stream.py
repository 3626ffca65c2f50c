"""The topic of a kind of record that workers read: its name, number of partitions and content."""

from __future__ import annotations

from dataclasses import dataclass

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.encode import Codec, codec_of, partition_count
from pseudofeed.records import Kind

__all__ = ["Stream", "stream_of"]


@dataclass(frozen=True, slots=True)
class Stream:
    """topic: its name; partitions: how many it has. fingerprint: of its market. codec: of its messages. optional: a
    worker need not wait for it."""

    kind: Kind
    topic: str
    partitions: int
    fingerprint: int
    codec: Codec
    optional: bool = False


def stream_of(record: MarketRecord, kind: Kind, *, optional: bool = False) -> Stream:
    return Stream(
        kind,
        kind.topic_of(record.name),
        partition_count(kind, record.partitions),
        record.fingerprint,
        codec_of(kind, record.market, record.fingerprint),
        optional,
    )
