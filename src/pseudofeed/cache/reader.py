"""Quotes read back from Redis as columns, each text checked: whoever can write there may have written anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from pseudofeed.cache.connection import exchange, packed_words
from pseudofeed.encode import decode_quotes
from pseudofeed.errors import DamagedQuote
from pseudofeed.random._random import default_floating_point

__all__ = ["QUOTE_FIELDS", "CachedQuotes", "QuoteReader", "parse_quote", "parse_quotes"]

# In the order of CachedQuotes; the last three may be missing, together.
QUOTE_FIELDS = ("epoch", "sequence", "time_ns", "price", "variance", "open", "high", "low")
_SESSION = QUOTE_FIELDS[5:]
_HMGET = b"*%d\r\n" % (2 + len(QUOTE_FIELDS)) + packed_words("HMGET")
_FIELDS = packed_words(*QUOTE_FIELDS)
_LARGEST = 2**63 - 1
_NAN = float("nan")

Row = tuple[int, int, int, float, float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class CachedQuotes:
    """One entry a quote that is there. index: which of those asked for. time: int64, ns since 1970, UTC. open,
    high, low: of the session up to the quote; NaN where its beginning is not known."""

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

    @classmethod
    def none_yet(cls, count: int) -> CachedQuotes:
        """An entry each, older than any quote."""
        whole, nan = np.full(count, -1, np.int64), np.full(count, _NAN)
        columns: list[NDArray[Any]] = [whole.copy() for _ in range(3)] + [nan.copy() for _ in range(5)]
        return cls(np.arange(count), *columns)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> CachedQuotes:
        return CachedQuotes(*(getattr(self, column.name)[which] for column in fields(self)))


class QuoteReader:
    """Reads quotes of some keys, and never hands out an older one than it has before, by (epoch, sequence): a Redis
    that keeps its data may come back from a crash with that of a second ago."""

    def __init__(self, client: redis.Redis, keys: Sequence[str]) -> None:
        self._redis, self._keys = client, keys
        self._held = CachedQuotes.none_yet(len(keys))
        self._held_columns = [getattr(self._held, column.name) for column in fields(self._held)[1:]]
        self._words = [packed_words(key) for key in keys]
        self._packed: tuple[tuple[int, ...], bytes] = ((), b"")

    def read(self, numbers: Sequence[int]) -> CachedQuotes:
        """The quotes of keys[number] for each number; those not there are left out. Raises redis.RedisError,
        DamagedQuote."""
        if len(numbers) == 1:
            return self._read_one(numbers[0])
        found = self.fresh(numbers)
        newer = self.newer(found)
        return newer if len(newer) == len(found) else self.held(found.index)

    def _read_one(self, number: int) -> CachedQuotes:
        """The same by scalars: for one quote NumPy's calls would take as long as Redis does."""
        row = parse_quote(self._keys[number], self._answers((number,))[0])
        if row is None:
            return _columns((), ())
        columns = self._held_columns
        held = (columns[0][number], columns[1][number])
        if row[:2] < held or (row[:2] == held and row[5] != row[5]):
            return self.held(np.array([number]))
        for column, value in zip(columns, row, strict=True):
            column[number] = value
        return CachedQuotes(np.array((number,)), *(np.array((value,)) for value in row))

    def fresh(self, numbers: Sequence[int]) -> CachedQuotes:
        """The quotes as they stand in Redis, read in one round trip; `index` is the number. Raises as `read`."""
        if len(numbers) == 1:
            row = parse_quote(self._keys[numbers[0]], self._answers(numbers)[0])
            return _columns([] if row is None else numbers, [] if row is None else [row])
        found = parse_quotes([self._keys[number] for number in numbers], self._answers(numbers))
        return replace(found, index=np.array(numbers, np.intp)[found.index])

    def held(self, numbers: NDArray[np.intp]) -> CachedQuotes:
        """What was handed out last."""
        return self._held.chosen(numbers)

    def newer(self, found: CachedQuotes) -> CachedQuotes:
        """Those of `found` that are newer than all that was handed out before, or know more of their session."""
        held = self._held.chosen(found.index)
        same = (found.epoch == held.epoch) & (found.sequence == held.sequence)
        fuller = same & np.isnan(held.open) & ~np.isnan(found.open)
        newer = fuller | (found.epoch > held.epoch) | ((found.epoch == held.epoch) & (found.sequence > held.sequence))
        if not newer.all():
            found = found.chosen(newer)
        for column in fields(found):
            getattr(self._held, column.name)[found.index] = getattr(found, column.name)
        return found

    def _answers(self, numbers: Sequence[int]) -> list[object]:
        """HMGETs in one round trip, packed once for numbers that are asked for again and again; once more where the
        server has closed the connection meanwhile."""
        asked = tuple(numbers)
        if self._packed[0] != asked:
            commands = b"".join([b"%b%b%b" % (_HMGET, self._words[number], _FIELDS) for number in asked])
            self._packed = (asked, commands)
        try:
            return exchange(self._redis, [self._packed[1]], answers=len(numbers))
        except (redis.ConnectionError, redis.TimeoutError):
            return exchange(self._redis, [self._packed[1]], answers=len(numbers))


def parse_quotes(keys: Sequence[str], answers: list[object]) -> CachedQuotes:
    """The answers to HMGET of QUOTE_FIELDS; index: of the key. Raises what stands in their place; DamagedQuote."""
    whole, doubles = np.empty((3, len(answers)), np.int64), np.empty((5, len(answers)))
    if decode_quotes(answers, whole, doubles):
        return CachedQuotes(np.arange(len(answers)), *whole, *doubles)
    # Some are not there, or not as the cache worker writes them.
    index, rows = [], []
    for at, (key, answer) in enumerate(zip(keys, answers, strict=True)):
        row = parse_quote(key, answer)
        if row is not None:
            index.append(at)
            rows.append(row)
    return _columns(index, rows)


def _columns(index: Sequence[int], rows: Sequence[Row]) -> CachedQuotes:
    epoch, sequence, time, *values = zip(*rows, strict=True) if rows else ((),) * len(QUOTE_FIELDS)
    return CachedQuotes(
        np.array(index, np.intp),
        np.array(epoch, np.int64),
        np.array(sequence, np.int64),
        np.array(time, np.int64),
        *(np.array(column, np.float64) for column in values),
    )


@default_floating_point
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
        raise DamagedQuote(f"key {key} in Redis is not a hash: {_REPAIR}")
    raise answer if isinstance(answer, Exception) else TypeError(f"{key}: {answer!r}")


_REPAIR = "somebody other than the cache worker wrote there. Its next ticks repair it, within 1 s; or delete the key"


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
