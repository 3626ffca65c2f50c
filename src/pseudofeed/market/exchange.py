"""The only module that uses exchange_calendars: it gets an exchange's trading times from the installed library.

The library is queried when a market is created, and never again: see timetable.py.
"""

from __future__ import annotations

import difflib
import warnings
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pseudofeed.errors import LibraryError, MarketFileError
from pseudofeed.market.timetable import DAY_NS, SESSIONS_A_YEAR, Timetable
from pseudofeed.times import LAST_NS, format_time

__all__ = ["ALWAYS_OPEN", "REACH_YEARS", "check_calendar_name", "resolve_timetable"]

ALWAYS_OPEN = "24/7"

REACH_YEARS = 20
"""How far a timetable reaches if the market file has no end."""

_LAST_DAY = date(2262, 4, 10)  # pandas' timestamps end on the 11th
_YEAR_NS = 1461 * DAY_NS // 4


@cache
def _calendar_names() -> frozenset[str]:
    return frozenset(_library().get_calendar_names(include_aliases=True))


def check_calendar_name(name: str) -> None:
    """Raises ValueError, with close names, if there is no such calendar; LibraryError without exchange_calendars.

    "24/7" needs no library and is not looked up.
    """
    if name == ALWAYS_OPEN or name in _calendar_names():
        return
    close = difflib.get_close_matches(name.upper(), sorted(_calendar_names()), n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f'neither "24/7" nor a calendar of exchange_calendars such as "XNYS" (New York){hint}')


def resolve_timetable(name: str, start_ns: int, end_ns: int | None = None) -> Timetable:
    """The timetable of an exchange's calendar from the session that holds `start_ns`, or the next one, to `end_ns`;
    without an end, over 20 years; in both cases no further than the library knows the calendar.

    The regular session is the commonest trading time of the first 252 sessions from the start on, the longer one of two
    equally common ones. If the library knows fewer than 252 from there on, the last 252 that it knows are used.
    So it depends neither on the end nor on earlier queries.

    Raises LibraryError without exchange_calendars. Raises MarketFileError with the names of calendar and library if the
    calendar is unknown, can't be created, or has no session from the start on.
    """
    try:
        check_calendar_name(name)
    except ValueError as problem:
        raise MarketFileError(f'clock.calendar: found "{name}"; it is {problem}') from None
    wanted_ns = min(start_ns + REACH_YEARS * _YEAR_NS if end_ns is None else end_ns, LAST_NS)
    try:
        known = _read_sessions(name, *_window(start_ns, wanted_ns, 5))
    except MarketFileError:
        # Some calendars fail for some years only: request no more than needed.
        known = _read_sessions(name, *_window(start_ns, wanted_ns, 1))
    until_ns = min(wanted_ns, known.until_ns)
    sessions, trading = known.sessions, known.trading
    if start_ns < known.from_ns:
        raise _unusable(name, f"it is known from {_day(known.from_ns)} on only, and the market starts before")
    after = int(np.searchsorted(sessions[:, 1], start_ns, side="right"))  # closes > start
    end = int(np.searchsorted(sessions[:, 0], until_ns, side="left"))  # opens < until
    if after >= end:
        until = f"; it knows the calendar to {_day(known.until_ns - 1)}" if known.until_ns < wanted_ns else ""
        raise MarketFileError(
            f"clock.calendar: {name} of {source()} has no session from {format_time(start_ns)} on"
            f"{f' to {format_time(end_ns)}' if end_ns is not None else ''}{until}"
        )
    sample = trading[after : after + SESSIONS_A_YEAR]
    if len(sample) < SESSIONS_A_YEAR:
        sample = trading[-SESSIONS_A_YEAR:]
    lengths, counts = np.unique(sample, return_counts=True)
    regular_ns = int(lengths[::-1][np.argmax(counts[::-1])])
    try:
        return Timetable.of_sessions(sessions[after:end], regular_ns, until_ns, source())
    except ValueError as problem:
        raise _unusable(name, str(problem)) from None


def _window(start_ns: int, wanted_ns: int, years: int) -> tuple[date, date]:
    """The days to request from the library, in whole multiples of some years, so that markets with similar starts share
    one request. At least two years after the start, which contain 252 sessions."""
    start, wanted = _day(start_ns).year, _day(wanted_ns).year
    first, last = start // years * years, -(-max(start + 2, wanted + 1) // years) * years
    return date(first - 1, 12, 1), min(date(min(last, _LAST_DAY.year), 12, 31), _LAST_DAY)


def source() -> str:
    """The library with its version."""
    return f"exchange_calendars {_library().__version__}"


def _library() -> ModuleType:
    try:
        return import_module("exchange_calendars")
    except ImportError:
        raise LibraryError(
            "a market with an exchange's calendar needs exchange_calendars: pip install 'pseudofeed[calendar]'; a file "
            "that `pseudofeed market freeze` wrote does not need it"
        ) from None
    except Exception as problem:  # a library beside it that it can't work with: what it raises, it raises
        raise LibraryError(
            f"exchange_calendars can't be imported: {type(problem).__name__}: {str(problem)[:200]}; install it again, "
            "pip install --force-reinstall 'pseudofeed[calendar]', or use a file that `pseudofeed market freeze` wrote"
        ) from None


class _Known(NamedTuple):
    """sessions: int64 (S, 4), open, close, begin and end of the break, ascending. trading: int64 (S,), ns. from_ns and
    until_ns: of what the library knows."""

    sessions: NDArray[np.int64]
    trading: NDArray[np.int64]
    from_ns: int
    until_ns: int


# Creating a calendar takes a second or more (Seoul's: eight), and a program creates a market several times.
@lru_cache(maxsize=64)
def _read_sessions(name: str, first: date, last: date) -> _Known:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library uses pandas in ways that pandas warns of
        try:
            calendar, first, last = _open_calendar(name, first, last)
            columns = [
                _nanoseconds(getattr(calendar, key)) for key in ("opens", "closes", "break_starts", "break_ends")
            ]
        except Exception as problem:  # whatever a calendar raises: some of them fail with some versions of pandas
            raise _unusable(name, f"{type(problem).__name__}: {str(problem)[:200]}") from None
    opens, closes, break_starts, break_ends = columns
    parted = (opens < break_starts) & (break_starts < break_ends) & (break_ends < closes)
    break_starts, break_ends = np.where(parted, break_starts, closes), np.where(parted, break_ends, closes)
    sessions = np.column_stack([opens, closes, break_starts, break_ends])
    sessions.flags.writeable = False
    from_ns, until_ns = (((day - date(1970, 1, 1)).days * DAY_NS) for day in (first, last + timedelta(days=1)))
    return _Known(sessions, closes - opens - (break_ends - break_starts), from_ns, min(until_ns, LAST_NS))


def _open_calendar(name: str, first: date, last: date) -> tuple[Any, date, date]:
    """The calendar from `first` to `last`, or as far as the library knows it; its first and last day."""
    library = _library()

    def get(begin: date, end: date) -> Any:
        return library.get_calendar(name, start=begin.isoformat(), end=end.isoformat())

    try:
        return get(first, last), first, last
    except (ValueError, library.errors.CalendarError):
        # Some calendars are recorded from or to a certain year only; one of a few past years tells which.
        bounds = library.get_calendar(name)
        low, high = bounds.bound_min(), bounds.bound_max()
        begin = first if low is None else max(first, low.date())
        end = last if high is None else min(last, high.date())
        if begin >= end or (begin, end) == (first, last):
            raise
        return get(begin, end), begin, end


def _unusable(name: str, why: str) -> MarketFileError:
    pandas = import_module("pandas").__version__
    return MarketFileError(
        f"clock.calendar: {name} of {source()} (with pandas {pandas}) can't be used: {why}. Another version of it may "
        "know this calendar, and `pseudofeed market freeze` then writes a file that needs no library"
    )


def _nanoseconds(series: Any) -> NDArray[np.int64]:
    """A pandas series of UTC times as int64; not-a-time becomes the smallest int64."""
    from pandas import DatetimeIndex

    return np.asarray(DatetimeIndex(series).as_unit("ns").asi8, dtype=np.int64)


def _day(time_ns: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 1_000_000_000)).date()
