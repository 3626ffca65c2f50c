"""The timetable of a market: its exchange's trading times, resolved once, and from then on part of the market.

A timetable has sessions (opening, close, lunch break), the regular session and the time up to which it is known. It
does not depend on a library: exchange.py queries one when a market is created. In a specification or a market file it
is a table that people can read and change:

    regular_session = "390min"
    until = "2046-03-02T14:30:00Z"
    weekdays = "Mon Tue Wed Thu Fri"
    hours = ["2026-03-02 14:30/21:00", "2026-03-09 13:30/20:00"]
    days = ["2026-04-03 closed", "2026-11-27 14:30/18:00"]

From each day of `hours` on, the sessions of the weekdays have these hours; `days` are single days with others. Times
are UTC, counted from the midnight at which the day begins: -01:00 is an hour before it, 25:00 an hour after its end. A
session with a lunch break has two pairs, and both the break and the trading on either side of it have a length.
Sessions go on up to `until`: the last one opens before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.times import LAST_NS, format_step, format_time, parse_step, parse_time

__all__ = ["DAY_NS", "SESSIONS_A_YEAR", "Timetable"]

DAY_NS = 86_400_000_000_000
SESSIONS_A_YEAR = 252

_EPOCH = date(1970, 1, 1)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CLOSED = "closed"
# New hours are written as `hours`, not as single `days`, if so many of the next sessions have them.
_AHEAD, _MOST = 5, 3

# A session's times lie so far from its day at most: -99:59:59.999999999 to 99:59:59.999999999.
_FARTHEST_NS = 100 * 3_600_000_000_000 - 1
_FARTHEST_DAYS = _FARTHEST_NS // DAY_NS + 1

_TIME = r"-?\d{2}:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_LINE = re.compile(rf"(\d{{4}}-\d\d-\d\d) ({_CLOSED}|{_TIME}/{_TIME}(?: {_TIME}/{_TIME})?)", re.ASCII)

Times = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)  # no slots: cached_property
class Timetable:
    """opens, closes, break_starts, break_ends: int64 (S,), ns since 1970, UTC, ascending and read-only; a session
    without a break has its close for both of the break's. So every stretch of trading has a length, on which the
    clock's counting of steps depends. regular_ns: trading time of a regular session. until_ns: no session opens before
    it that is not here. source: who said so, e.g. "exchange_calendars 4.13.2".

    Raises ValueError, which says why, where there is no session, sessions overlap, a session's times are not in order,
    or two sessions would have to stand on one day of a table.
    """

    opens: Times
    closes: Times
    break_starts: Times
    break_ends: Times
    regular_ns: int
    until_ns: int
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("opens", "closes", "break_starts", "break_ends"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if not self.opens.size:
            raise ValueError("it has no session")
        ordered = np.column_stack([self.opens, self.break_starts, self.break_ends, self.closes])
        parted = (ordered[:, :-1] < ordered[:, 1:]).all(axis=1)
        whole = (self.opens < self.closes) & (self.break_starts == self.closes) & (self.break_ends == self.closes)
        self._refuse(~(parted | whole), "does not go forward: each of its two or four times must be after the last one")
        self._refuse(self.opens[1:] < self.closes[:-1], "does not end before the next")
        if not 0 < self.regular_ns <= 2 * DAY_NS:
            raise ValueError(f"regular_session is {self.regular_ns} ns; it must be from 1ns to 2d")
        midnights = self._days * DAY_NS
        far = (self.opens - midnights < -_FARTHEST_NS) | (self.closes - midnights > _FARTHEST_NS)
        self._refuse(far, "and those before it are more than one a day")

    def _refuse(self, wrong: NDArray[np.bool_], why: str) -> None:
        if wrong.any():
            raise ValueError(f"its session from {format_time(int(self.opens[np.argmax(wrong)]))} {why}")

    @cached_property
    def _days(self) -> NDArray[np.int64]:
        """The day since 1970 of each session, ascending, no two the same: the one in which the middle of a regular
        session with its opening lies (so half a day does not belong to another day than a whole one), or the next day
        that is free."""
        order = np.arange(len(self.opens))
        middle = self.opens // DAY_NS + (self.opens % DAY_NS + self.regular_ns // 2) // DAY_NS
        return np.asarray(np.maximum.accumulate(middle - order) + order, dtype=np.int64)

    @classmethod
    def of_sessions(cls, sessions: Times, regular_ns: int, until_ns: int, source: str) -> Timetable:
        """sessions: int64 (S, 4), open, close, begin and end of the break."""
        opens, closes, break_starts, break_ends = sessions.T
        return cls(opens, closes, break_starts, break_ends, regular_ns, until_ns, source)

    @property
    def bounds(self) -> tuple[Times, Times, Times, Times]:
        """Opens, closes, beginnings and ends of breaks."""
        return self.opens, self.closes, self.break_starts, self.break_ends

    @property
    def trading(self) -> Times:
        """The trading time of each session, int64 (S,), ns."""
        return self.closes - self.opens - (self.break_ends - self.break_starts)

    @cached_property
    def sha256(self) -> str:
        """The hash of everything that ticks depend on: all except the source. 64 hexadecimal digits."""
        numbers = [self.regular_ns, self.until_ns]
        arrays = (np.array(numbers, dtype=np.int64), self.opens, self.closes, self.break_starts, self.break_ends)
        return hashlib.sha256(b"".join(array.astype(">i8").tobytes() for array in arrays)).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timetable) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        first, until = format_time(int(self.opens[0])), format_time(self.until_ns)
        return f"Timetable({len(self.opens)} sessions from {first} until {until})"

    def first_difference(self, other: Timetable) -> str | None:
        """The first day (its date in UTC) on which the two differ; None if they are the same."""
        if self == other:
            return None
        mine, others = self._rows_of_days(), other._rows_of_days()
        for day in sorted(mine.keys() | others.keys()):
            if mine.get(day) != others.get(day):
                return day
        return format_time(min(self.until_ns, other.until_ns))[:10]

    def _rows_of_days(self) -> dict[str, list[tuple[int, ...]]]:
        days: dict[str, list[tuple[int, ...]]] = {}
        for row in self._rows():
            days.setdefault(format_time(row[0])[:10], []).append(tuple(row))
        return days

    def _rows(self) -> list[list[int]]:
        """open, close, begin and end of the break of each session."""
        rows: list[list[int]] = np.column_stack([self.opens, self.closes, self.break_starts, self.break_ends]).tolist()
        return rows

    # --- As a table ---------------------------------------------------------------------------------------------

    def to_table(self) -> dict[str, object]:
        """The table of a specification or a market file; JSON-able. Some 5 to 10 KB for 20 years."""
        hours_of, first, last = self._by_day()
        counts = np.bincount([_weekday(day) for day in hours_of], minlength=7)
        weekdays = [number for number in range(7) if 2 * counts[number] >= counts.max()]
        hours: list[str] = []
        days: list[str] = []
        current = ""
        regular = [day for day in hours_of if _weekday(day) in weekdays]
        ahead = {day: [hours_of[next_day] for next_day in regular[at : at + _AHEAD]] for at, day in enumerate(regular)}
        for day in range(first, last + 1):
            found = hours_of.get(day, _CLOSED)
            if day in ahead and found != current and (not current or ahead[day].count(found) >= _MOST):
                current = found
                hours.append(f"{_date(day)} {found}")
            predicted = current if current and _weekday(day) in weekdays else _CLOSED
            if predicted != _CLOSED and _opening(day, predicted) >= self.until_ns:
                predicted = _CLOSED
            if found != predicted:
                days.append(f"{_date(day)} {found}")
        return {
            "regular_session": format_step(self.regular_ns),
            "until": format_time(self.until_ns),
            "weekdays": " ".join(_WEEKDAYS[number] for number in weekdays),
            "hours": hours,
            "days": days,
            "source": self.source,
        }

    def _by_day(self) -> tuple[dict[int, str], int, int]:
        """The hours of each day that has some; the first and the last day that may have any."""
        found: dict[int, str] = {}
        for day, (opening, close, break_start, break_end) in zip(self._days.tolist(), self._rows(), strict=True):
            midnight = day * DAY_NS
            times = [opening, close] if break_start == break_end else [opening, break_start, break_end, close]
            texts = [_format_of_day(time - midnight) for time in times]
            found[day] = " ".join(f"{begin}/{end}" for begin, end in zip(texts[::2], texts[1::2], strict=True))
        return found, next(iter(found)), max(int(self._days[-1]), _last_day(self.until_ns))

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> Timetable:
        """The timetable of such a table. Raises ValueError, which names the key and the mistake."""
        return _read_table(json.dumps(table, sort_keys=True))

    @classmethod
    def _read(cls, table: Mapping[str, Any]) -> Timetable:
        try:
            regular_ns = parse_step(table["regular_session"])
            until_ns = parse_time(table["until"])
        except ValueError as problem:
            raise ValueError(f"regular_session or until: {problem}") from None
        names = str(table["weekdays"]).split()
        unknown = [name for name in names if name not in _WEEKDAYS]
        if unknown or not names:
            raise ValueError(f"weekdays: must be some of {' '.join(_WEEKDAYS)}")
        weekdays = {_WEEKDAYS.index(name) for name in names}
        hours, days = _lines("hours", table["hours"]), _lines("days", table["days"])
        if not hours:
            raise ValueError('hours: must have a line such as "2026-03-02 14:30/21:00"')
        sessions: list[tuple[int, int, int, int]] = []
        single = dict(days)
        first, last = min(hours[0][0], *single) if single else hours[0][0], _last_day(until_ns)
        at, current = 0, _CLOSED
        for day in range(first, last + 1):
            while at < len(hours) and hours[at][0] <= day:
                current, at = hours[at][1], at + 1
            found = single.get(day, current if _weekday(day) in weekdays else _CLOSED)
            if found == _CLOSED:
                continue
            times = [day * DAY_NS + offset for offset in _offsets(found)]
            if times[0] >= until_ns:
                continue
            if min(times) < -LAST_NS or max(times) > LAST_NS:
                raise ValueError(
                    f"its session of {_date(day)} is not within {format_time(-LAST_NS)} to {format_time(LAST_NS)}, the "
                    "range of 64-bit nanoseconds: let hours begin after it, or until come before it"
                )
            middle = times[1:3] if len(times) == 4 else [times[-1], times[-1]]
            sessions.append((times[0], times[-1], middle[0], middle[1]))
        columns = np.array(sessions, dtype=np.int64).reshape(-1, 4)
        return cls.of_sessions(columns, regular_ns, until_ns, str(table["source"]))


# Reading 20 years takes 30 ms, and a market's table is read when it is checked, hashed, and made a clock of.
@lru_cache(maxsize=32)
def _read_table(text: str) -> Timetable:
    return Timetable._read(json.loads(text))


def _lines(key: str, lines: Sequence[str]) -> list[tuple[int, str]]:
    """(day since 1970, hours) of each line, which must be in ascending order."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f'{key}[{number}]: found "{line[:40]}"; must be like "2026-03-02 14:30/21:00"')
        try:
            day = (date.fromisoformat(match[1]) - _EPOCH).days
        except ValueError:
            raise ValueError(f"{key}[{number}]: there is no day {match[1]}") from None
        if abs(day) > LAST_NS // DAY_NS:
            raise ValueError(
                f"{key}[{number}]: {match[1]} is not within {_date(-(LAST_NS // DAY_NS))} to "
                f"{_date(LAST_NS // DAY_NS)}, the range of 64-bit nanoseconds"
            )
        if found and day <= found[-1][0]:
            raise ValueError(f"{key}[{number}]: {match[1]} does not come after the line before it")
        if match[2] == _CLOSED and key == "hours":
            raise ValueError(f"{key}[{number}]: hours can't be closed: list the days in days")
        found.append((day, match[2]))
    return found


_offsets_of: dict[str, tuple[int, ...]] = {}


def _offsets(hours: str) -> tuple[int, ...]:
    """ns from the day's midnight of each time of "14:30/21:00" or "00:00/02:30 03:30/06:00"."""
    known = _offsets_of.get(hours)
    if known is None:
        if len(_offsets_of) > 1_000:
            _offsets_of.clear()
        known = _offsets_of[hours] = tuple(_parse_of_day(text) for text in re.split("[/ ]", hours))
    return known


def _last_day(until_ns: int) -> int:
    """The last day of which a session may open before `until_ns`."""
    return until_ns // DAY_NS + _FARTHEST_DAYS


def _opening(day: int, hours: str) -> int:
    return day * DAY_NS + _offsets(hours)[0]


def _parse_of_day(text: str) -> int:
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    hour, minute, *second = text.split(":")
    whole, _, fraction = (second[0] if second else "0").partition(".")
    seconds = (int(hour) * 60 + int(minute)) * 60 + int(whole)
    return sign * (seconds * 1_000_000_000 + int(fraction.ljust(9, "0")))


def _format_of_day(offset_ns: int) -> str:
    seconds, fraction = divmod(abs(offset_ns), 1_000_000_000)
    text = f"{'-' if offset_ns < 0 else ''}{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    if seconds % 60 or fraction:
        text += f":{seconds % 60:02d}"
    return f"{text}.{fraction:09d}" if fraction else text


def _weekday(day: int) -> int:
    return (day + 3) % 7  # 1970-01-01 was a Thursday


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
