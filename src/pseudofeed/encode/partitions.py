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

__all__ = ["instrument_partitions", "members_of", "murmur2", "partition_count", "partitions_of", "symbol_partition"]

Words = NDArray[np.uint32]

_SEED = 0x9747B28C
_MULTIPLIER = np.uint32(0x5BD1E995)


def murmur2(keys: Sequence[bytes]) -> Words:
    """MurmurHash2 of each key as `org.apache.kafka.common.utils.Utils.murmur2` computes it, (N,) uint32.

    Keys of one length are hashed together: 100,000 symbols take 0.05 s, one by one a second.
    """
    hashes = np.empty(len(keys), dtype=np.uint32)
    lengths = np.array([len(key) for key in keys], dtype=np.int64)
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        text = np.frombuffer(b"".join([keys[number] for number in chosen.tolist()]), dtype=np.uint8)
        hashes[chosen] = _murmur2(text.reshape(len(chosen), length).T.astype(np.uint32))
    return hashes


def _murmur2(text: Words) -> Words:
    """Of keys of one length: text (length, N), their bytes. Products are modulo 2^32, as unsigned arrays have it."""
    length, count = text.shape
    h: Words = np.full(count, _SEED ^ length, dtype=np.uint32)
    whole = length & ~3
    for at in range(0, whole, 4):
        k = (text[at] | text[at + 1] << 8 | text[at + 2] << 16 | text[at + 3] << 24) * _MULTIPLIER
        h = h * _MULTIPLIER ^ (k ^ k >> np.uint32(24)) * _MULTIPLIER
    if whole < length:
        rest = text[whole:] << np.arange(0, 8 * (length - whole), 8, dtype=np.uint32)[:, np.newaxis]
        h = (h ^ np.bitwise_xor.reduce(rest, axis=0)) * _MULTIPLIER
    h = (h ^ h >> np.uint32(13)) * _MULTIPLIER
    return h ^ h >> np.uint32(15)


def symbol_partition(symbol: str, partitions: int) -> int:
    """The partition of one symbol; see `instrument_partitions`."""
    return int(instrument_partitions([symbol], partitions)[0])


def instrument_partitions(symbols: Sequence[str], partitions: int) -> NDArray[np.int32]:
    """The partition of each instrument, (N,) int32, in the order of the symbols: the hash of the symbol's UTF-8 without
    the sign bit, modulo the number of partitions. Raises ValueError if there are none."""
    if partitions < 1:
        raise ValueError(f"partitions is {partitions}, a topic has at least 1")
    hashes = murmur2([symbol.encode() for symbol in symbols])
    return ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.int32)


def partition_count(kind: Kind, partitions: int) -> int:
    """The number of partitions of a kind's topic, in a market whose tick topic has `partitions`."""
    return partitions if kind.key is Key.INSTRUMENT else 1


def partitions_of(kind: Kind, market: Market, partitions: int) -> NDArray[np.int32]:
    """The partition of each member that a kind has rows of in a market, by number, int32."""
    if kind.key is Key.INSTRUMENT:
        return instrument_partitions(market.symbols, partitions)
    return np.zeros(len(kind.key.names(market)), np.int32)


def members_of(partitions: NDArray[np.int32], count: int) -> list[NDArray[np.int64]]:
    """The numbers of the members in each partition, ascending. partitions: (N,), that of each member, one of
    `count`."""
    return [np.flatnonzero(partitions == partition) for partition in range(count)]
