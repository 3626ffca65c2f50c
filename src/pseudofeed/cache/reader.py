"""Quotes read back from Redis as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import redis
from numpy.typing import NDArray

from pseudofeed.cache.keys import quote_key

__all__ = ["CachedQuotes", "read_quotes"]


@dataclass(frozen=True, slots=True, eq=False)
class CachedQuotes:
    """One entry a quote that is there. index: which of the symbols asked for. time: int64, ns since the epoch, UTC."""

    index: NDArray[np.intp]
    epoch: NDArray[np.int64]
    sequence: NDArray[np.int64]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    variance: NDArray[np.float64]


def read_quotes(client: redis.Redis, market: str, symbols: Sequence[str], partitions: Sequence[int]) -> CachedQuotes:
    """The newest quotes of these instruments (each with its partition), in one round trip; those not there are left
    out.

    Doubles come back bit for bit: they are written as the shortest text that reads back to the same. Raises
    redis.RedisError.
    """
    pipeline = client.pipeline(transaction=False)
    for symbol, partition in zip(symbols, partitions, strict=True):
        pipeline.hmget(quote_key(market, partition, symbol), ["epoch", "sequence", "time_ns", "price", "variance"])
    found = [(at, *row) for at, row in enumerate(pipeline.execute()) if row[0] is not None]
    index, epoch, sequence, time, price, variance = zip(*found, strict=True) if found else ((),) * 6
    return CachedQuotes(
        np.array(index, np.intp),
        np.array([int(text) for text in epoch], np.int64),
        np.array([int(text) for text in sequence], np.int64),
        np.array([int(text) for text in time], np.int64),
        np.array([float(text) for text in price], np.float64),
        np.array([float(text) for text in variance], np.float64),
    )
