"""The partition of an instrument: that of its symbol in Kafka's Java default partitioner.

Programs written with the Java client or Kafka Streams that key their records by symbol are then co-partitioned with our
topics. librdkafka's own default (`consistent_random`, a CRC) would put symbols elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market import Market
from pseudofeed.records import Key, Kind

__all__ = ["instrument_partitions", "murmur2", "partition_count", "partitions_of", "symbol_partition"]

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it, as an unsigned 32-bit number."""
    h = (_SEED ^ len(data)) & _WORD
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _WORD
        k = (k ^ k >> 24) * _MULTIPLIER & _WORD
        h = h * _MULTIPLIER & _WORD ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    h = (h ^ h >> 13) * _MULTIPLIER & _WORD
    return h ^ h >> 15


def symbol_partition(symbol: str, partitions: int) -> int:
    """The partition of one symbol: the hash of its UTF-8 without the sign bit, modulo the number of partitions."""
    if partitions < 1:
        raise ValueError(f"partitions is {partitions}, a topic has at least 1")
    return (murmur2(symbol.encode()) & 0x7FFFFFFF) % partitions


def instrument_partitions(symbols: Sequence[str], partitions: int) -> NDArray[np.int32]:
    """The partition of each instrument, (N,) int32, in the order of the symbols. ValueError where there are none."""
    return np.array([symbol_partition(symbol, partitions) for symbol in symbols], dtype=np.int32)


def partition_count(kind: Kind, partitions: int) -> int:
    """How many partitions the topic of a kind has, in a market with so many of ticks."""
    return partitions if kind.key is Key.INSTRUMENT else 1


def partitions_of(kind: Kind, market: Market, partitions: int) -> NDArray[np.int32]:
    """The partition of each member (instrument, factor) of a market that a kind has rows of, by number, int32."""
    if kind.key is Key.INSTRUMENT:
        return instrument_partitions(market.symbols, partitions)
    return np.zeros(len(kind.key.names(market)), np.int32)
