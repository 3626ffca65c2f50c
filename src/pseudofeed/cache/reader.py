"""Quotes read back from Redis as columns, each text checked: whoever can write there may have written anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import redis
from numpy.typing import NDArray

from pseudofeed.errors import DamagedQuote

__all__ = ["QUOTE_FIELDS", "CachedQuotes", "parse_quote", "parse_quotes", "read_quotes"]

# In the order of CachedQuotes; the last three may be missing, together.
QUOTE_FIELDS = ("epoch", "sequence", "time_ns", "price", "variance", "open", "high", "low")
_SESSION = QUOTE_FIELDS[5:]
_LARGEST = 2**63 - 1
_NAN = float("nan")

Row = tuple[int, int, int, float, float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class CachedQuotes:
    """One entry a quote that is there. index: which of those asked for. time: int64, ns since the epoch, UTC. open, high,
    low: of the session up to the quote; NaN where its beginning is not known."""

    index: NDArray[np.intp]
    epoch: NDArray[np.int64]
    sequence: NDArray[np.int64]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    variance: NDArray[np.float64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    def chosen(self, mask: NDArray[np.bool_]) -> CachedQuotes:
        return CachedQuotes(*(getattr(self, column.name)[mask] for column in fields(self)))


def read_quotes(client: redis.Redis, keys: Sequence[str]) -> CachedQuotes:
    """The quotes of these keys, in one round trip; those not there are left out. Doubles come back bit for bit: they are
    written as the shortest text that reads back to the same. Raises redis.RedisError, DamagedQuote."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hmget(key, QUOTE_FIELDS)
    return parse_quotes(keys, pipeline.execute(raise_on_error=False))


def parse_quotes(keys: Sequence[str], answers: Sequence[object]) -> CachedQuotes:
    """The answers to HMGET of QUOTE_FIELDS. Raises what stands in their place; DamagedQuote."""
    index = []
    rows = []
    for at, (key, answer) in enumerate(zip(keys, answers, strict=True)):
        row = parse_quote(key, answer)
        if row is not None:
            index.append(at)
            rows.append(row)
    columns = zip(*rows, strict=True) if rows else ((),) * len(QUOTE_FIELDS)
    types = (np.int64,) * 3 + (np.float64,) * 5
    return CachedQuotes(
        np.array(index, np.intp),
        *(np.array(column, kind) for column, kind in zip(columns, types, strict=True)),  # type: ignore[arg-type]
    )


def parse_quote(key: str, answer: object) -> Row | None:
    """One answer; None where there is no quote."""
    if isinstance(answer, list):
        try:
            epoch, sequence, time = int(answer[0]), int(answer[1]), int(answer[2])
            price, variance = float(answer[3]), float(answer[4])
            session = (_NAN, _NAN, _NAN)
            if answer[5] is not None:
                session = (float(answer[5]), float(answer[6]), float(answer[7]))
            row = (epoch, sequence, time, price, variance, *session)
        except (TypeError, ValueError):
            pass
        else:
            # For infinities and NaN, x - x is not 0.
            finite = price - price == 0 and variance - variance == 0
            if finite and 0 <= epoch <= _LARGEST and 0 <= sequence <= _LARGEST and 0 <= time <= _LARGEST:
                return row
        if not any(text is not None for text in answer):
            return None
        raise _damage(key, answer)
    if isinstance(answer, redis.ResponseError) and str(answer).startswith("WRONGTYPE"):
        raise DamagedQuote(f"key {key} in Redis is no hash: {_REPAIR}")
    raise answer if isinstance(answer, Exception) else TypeError(f"{key}: {answer!r}")


_REPAIR = "somebody other than the cache worker wrote there. The instrument's next tick repairs it; or delete the key"


def _damage(key: str, answer: Sequence[object]) -> DamagedQuote:
    """Which field it is."""
    for name, text in zip(QUOTE_FIELDS, answer, strict=True):
        if text is None and name not in _SESSION:
            return DamagedQuote(f"key {key} in Redis has no field {name}: {_REPAIR}")
        try:
            number = 0.0 if text is None else float(str(text)) if name in QUOTE_FIELDS[3:] else int(str(text))
        except ValueError:
            number = _NAN
        if number - number != 0 or (name in QUOTE_FIELDS[:3] and not 0 <= number <= _LARGEST):
            shown = str(text)[:40]
            return DamagedQuote(
                f"key {key} in Redis, field {name}: found {shown!r}, which is no such number: {_REPAIR}"
            )
    return DamagedQuote(f"key {key} in Redis has not all of open, high and low: {_REPAIR}")
