"""Which moment a step is: step 0 is the market's start, step n its n-th tick.

A 24/7 clock ticks at start + n * step. An exchange's clock ticks only while the exchange trades: each stretch of
trading (a session, or the halves that a lunch break leaves of it) has ticks at its beginning + step, + 2 steps, ... up
to and with its end; the first stretch begins at the start if that lies inside it. What a stretch leaves over of a step
is dropped, so every step is one whole step of trading time. The sessions come from exchange_calendars, which knows half
days and summer time.

A night is closed time between two sessions, so a lunch break is none, and a weekend is one. It has no tick; what it
does to prices comes out in the first step after it, which `gaps` names.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pseudofeed.errors import LibraryError, MarketFileError, SimulationError
from pseudofeed.times import LAST_NS, format_step, format_time

__all__ = ["ALWAYS_OPEN", "Clock", "Session", "check_calendar_name"]

ALWAYS_OPEN = "24/7"

_DAY_NS = 86_400_000_000_000
_SESSIONS_A_YEAR = 252
_LAST_DAY = date(2262, 4, 10)  # pandas' timestamps end on the 11th


@dataclass(frozen=True, slots=True)
class Session:
    """A session's steps, first_step to last_step, and when it opens: ns since the epoch, UTC. The first step is one
    step later, but for a 24/7 clock, whose days may begin with a tick."""

    first_step: int
    last_step: int
    opening_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """start_ns: int64 nanoseconds since the epoch, UTC. step_ns: trading time between two ticks.

    calendar: "24/7" or a name of exchange_calendars. overnight_variance: of a night, in regular sessions (0.5: as much
    as half a session's). Raises, when an exchange's calendar is first used, LibraryError if exchange_calendars is not
    installed, MarketFileError if the name is unknown or the step is longer than a session.
    """

    start_ns: int
    step_ns: int
    calendar: str = ALWAYS_OPEN
    overnight_variance: float = 0.0
    _cached: list[_Trading] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start_ns <= LAST_NS:
            raise ValueError(f"start_ns: found {self.start_ns}, must be from 0 to {LAST_NS}")
        if not 0 < self.step_ns <= LAST_NS:
            raise ValueError(f"step_ns: found {self.step_ns}, must be from 1 to {LAST_NS}")
        if not 0 <= self.overnight_variance < math.inf or (self.overnight_variance and self.calendar == ALWAYS_OPEN):
            raise ValueError(
                f"overnight_variance: found {self.overnight_variance!r}, must be a number from 0 on, and 0 where the "
                f"calendar is {ALWAYS_OPEN}"
            )

    @property
    def year_ns(self) -> int:
        """The trading time of a year: 365.25 days, or 252 sessions of the calendar's regular length."""
        if self.calendar == ALWAYS_OPEN:
            return 1461 * _DAY_NS // 4
        return _SESSIONS_A_YEAR * self._trading().session_ns

    @property
    def grain_ns(self) -> int:
        """All times of the clock are whole multiples of it: what decides the form of times in a file."""
        # Sessions open and close at whole minutes.
        return math.gcd(self.start_ns, self.step_ns, 60_000_000_000 if self.calendar != ALWAYS_OPEN else 0)

    @property
    def dt(self) -> float:
        """A step in years."""
        return self.step_ns / self.year_ns

    def step_years(self, first_step: int, count: int) -> NDArray[np.float64]:
        """The lengths of the steps first_step .. first_step + count - 1 in years of trading time, float64 (count,)."""
        return np.full(count, self.dt)

    @property
    def night_dt(self) -> float:
        """A night in years: overnight_variance of the year's 252 sessions."""
        return self.overnight_variance / _SESSIONS_A_YEAR

    def times(self, first_step: int, count: int) -> NDArray[np.int64]:
        """Times of the steps first_step .. first_step + count - 1, int64 (count,), ns since the epoch.

        Step 0 is the start (an exchange's clock: the next opening, if the start lies outside of trading). Raises
        ValueError for negative arguments, SimulationError if a time leaves 64 bits or the calendar's range.
        """
        steps = self._steps(first_step, count)
        if self.calendar == ALWAYS_OPEN or count == 0:
            return self.start_ns + steps * self.step_ns
        trading = self._known_to(int(steps[-1]))
        stretch = np.searchsorted(trading.last_steps, steps, side="left")
        before = np.concatenate(([0], trading.last_steps))[stretch]
        times: NDArray[np.int64] = trading.begins[stretch] + (steps - before) * self.step_ns
        if first_step == 0:
            times[0] = trading.begins[0]
        return times

    def gaps(self, first_step: int, count: int) -> NDArray[np.bool_]:
        """Which of the steps first_step .. first_step + count - 1 are the first after a night, bool (count,).

        Never step 0, and none where a night has no variance. Raises as `times` does.
        """
        steps = self._steps(first_step, count)
        if self.overnight_variance == 0 or count == 0:
            return np.zeros(count, dtype=np.bool_)
        trading = self._known_to(int(steps[-1]))
        with_one_before = np.concatenate((np.maximum(steps[:1] - 1, 0), steps))
        nights = trading.nights[np.searchsorted(trading.last_steps, with_one_before, side="left")]
        return np.diff(nights) > 0

    def _steps(self, first_step: int, count: int) -> NDArray[np.int64]:
        if first_step < 0 or count < 0:
            raise ValueError(f"first_step and count: found {first_step} and {count}, must be 0 or more")
        last_step = first_step + count - 1
        if self.start_ns + last_step * self.step_ns > LAST_NS:
            raise SimulationError(
                f"step {last_step} of {format_step(self.step_ns)} after {format_time(self.start_ns)} lies beyond "
                f"{format_time(LAST_NS)}, where 64-bit nanoseconds end"
            )
        return np.arange(first_step, first_step + count, dtype=np.int64)

    def _known_to(self, step: int) -> _Trading:
        trading = self._trading()
        while step > trading.last_steps[-1]:
            trading = self._extend(trading, f"step {step}")
        return trading

    def step_at(self, time_ns: int) -> int:
        """The last step at or before the time; -1 before step 0. Raises as `times` does."""
        if self.calendar == ALWAYS_OPEN:
            return max((time_ns - self.start_ns) // self.step_ns, -1)
        trading = self._trading()
        if time_ns < trading.begins[0]:
            return -1
        while time_ns >= trading.known_until_ns:
            trading = self._extend(trading, format_time(time_ns))
        stretch = int(np.searchsorted(trading.begins, time_ns, side="right")) - 1
        before = int(trading.last_steps[stretch - 1]) if stretch else 0
        inside = (time_ns - int(trading.begins[stretch])) // self.step_ns
        return min(before + inside, int(trading.last_steps[stretch]))

    def session(self, step: int) -> Session:
        """The session that a step (from 1 on) is in: an exchange's session with both sides of its lunch break, or the
        UTC day of a 24/7 clock. One that the start cuts opens at the start. Raises as `times` does."""
        if self.calendar == ALWAYS_OPEN:
            midnight = int(self.times(step, 1)[0]) // _DAY_NS * _DAY_NS
            first = max(-((self.start_ns - midnight) // self.step_ns), 1)
            last = -((self.start_ns - midnight - _DAY_NS) // self.step_ns) - 1
            return Session(first, last, max(midnight, self.start_ns))
        self._steps(step, 1)
        trading = self._known_to(step)
        own = trading.sessions[np.searchsorted(trading.last_steps, step, side="left")]
        first, last = (
            np.searchsorted(trading.sessions, own, side="left"),
            np.searchsorted(trading.sessions, own, "right"),
        )
        before = int(trading.last_steps[first - 1]) if first else 0
        return Session(before + 1, int(trading.last_steps[last - 1]), int(trading.begins[first]))

    def _trading(self) -> _Trading:
        if not self._cached:
            trading = _read_trading(self.calendar, self.start_ns, self.step_ns, years=1)
            if self.step_ns > trading.session_ns:
                raise MarketFileError(
                    f"clock.step: found {format_step(self.step_ns)}; a session of {self.calendar} has only "
                    f"{format_step(trading.session_ns)} of trading, and a step must fit into one"
                )
            self._cached.append(trading)
        return self._cached[-1]

    def _extend(self, trading: _Trading, wanted: str) -> _Trading:
        """The same trading, known for twice as long. Raises SimulationError where the calendar ends."""
        if trading.complete:
            raise SimulationError(
                f"{wanted} of a market from {format_time(self.start_ns)} lies beyond {trading.known_until_text}, where "
                f"the calendar {self.calendar} of exchange_calendars ends"
            )
        longer = _read_trading(self.calendar, self.start_ns, self.step_ns, years=2 * trading.years)
        self._cached[:] = [longer]
        return longer


@dataclass(frozen=True, slots=True)
class _Trading:
    """The stretches of trading from the start on, int64 each: when it begins, the number of the last step in it, and
    how many nights lie between the start and it, and of which session it is (ascending)."""

    begins: NDArray[np.int64]
    last_steps: NDArray[np.int64]
    nights: NDArray[np.int64]
    sessions: NDArray[np.int64]
    session_ns: int  # trading time of a regular session
    years: int
    known_until_ns: int
    known_until_text: str
    complete: bool  # the calendar goes no further


def _exchange_calendars() -> ModuleType:
    try:
        return import_module("exchange_calendars")
    except ImportError:
        raise LibraryError(
            "a market with an exchange's calendar needs exchange_calendars: pip install 'pseudofeed[calendar]'"
        ) from None


@cache
def _calendar_names() -> frozenset[str]:
    return frozenset(_exchange_calendars().get_calendar_names(include_aliases=True))


def check_calendar_name(name: str) -> None:
    """Raises ValueError, with close names, if there is no such calendar; LibraryError without exchange_calendars.

    "24/7" needs no library and is not looked up.
    """
    if name == ALWAYS_OPEN or name in _calendar_names():
        return
    close = difflib.get_close_matches(name.upper(), sorted(_calendar_names()), n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f'neither "24/7" nor a calendar of exchange_calendars such as "XNYS" (New York){hint}')


def _read_trading(name: str, start_ns: int, step_ns: int, *, years: int) -> _Trading:
    try:
        check_calendar_name(name)
    except ValueError as problem:
        raise MarketFileError(f'clock.calendar: found "{name}"; it is {problem}') from None
    start = datetime.fromtimestamp(start_ns // 1_000_000_000, tz=UTC)
    # A session may open the day before its date, and a year's sessions must hold at least one after any holidays.
    first_day = (start - timedelta(days=7)).date()
    sessions = _read_sessions(name, first_day, min(first_day + timedelta(days=7 + 366 * years), _LAST_DAY))
    begins, ends, numbers = _stretches(sessions)
    session_ns = _regular_session(sessions, start_ns)
    ahead = ends > start_ns
    begins, ends, numbers = np.maximum(begins[ahead], start_ns), ends[ahead], numbers[ahead]
    if not begins.size:
        raise SimulationError(f"the calendar {name} of exchange_calendars has no session after {format_time(start_ns)}")
    return _Trading(
        begins=begins,
        last_steps=np.cumsum((ends - begins) // step_ns),
        nights=np.concatenate(([0], np.cumsum((numbers[1:] != numbers[:-1]) & (begins[1:] > ends[:-1])))),
        sessions=numbers,
        session_ns=session_ns,
        years=years,
        known_until_ns=int(ends[-1]),
        known_until_text=sessions.last_day.isoformat(),
        complete=sessions.complete,
    )


class _Sessions(NamedTuple):
    """A calendar's sessions up to last_day, int64 ns each; a session without a break has the smallest int64 for it."""

    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    break_starts: NDArray[np.int64]
    break_ends: NDArray[np.int64]
    last_day: date
    complete: bool  # the calendar goes no further


# A calendar takes a second or more to make, and a market is made several times in one program.
@lru_cache(maxsize=32)
def _read_sessions(name: str, first_day: date, last_day: date) -> _Sessions:
    calendar, last_day, complete = _open_calendar(name, first_day, last_day)
    return _Sessions(
        _nanoseconds(calendar.opens),
        _nanoseconds(calendar.closes),
        _nanoseconds(calendar.break_starts),
        _nanoseconds(calendar.break_ends),
        last_day,
        complete,
    )


def _open_calendar(name: str, first_day: date, last_day: date) -> tuple[Any, date, bool]:
    """The calendar from first_day to last_day or where it ends; the last day; whether that is its end."""
    library = _exchange_calendars()

    def get(last: date) -> Any:
        return library.get_calendar(name, start=first_day.isoformat(), end=last.isoformat())

    try:
        return get(last_day), last_day, last_day >= _LAST_DAY
    except (ValueError, library.errors.CalendarError) as problem:
        # Some calendars' holidays are recorded to a certain year only; a calendar of a few past years tells which.
        bound = library.get_calendar(name).bound_max()
        end = None if bound is None else bound.date()
        if end is not None and first_day < end < last_day:
            return get(end), end, True
        raise SimulationError(
            f"the calendar {name} of exchange_calendars does not reach from {first_day} to {last_day}: {problem}"
        ) from None


def _nanoseconds(series: Any) -> NDArray[np.int64]:
    """A pandas series of UTC times as int64; not-a-time becomes the smallest int64."""
    from pandas import DatetimeIndex

    return np.asarray(DatetimeIndex(series).as_unit("ns").asi8, dtype=np.int64)


def _stretches(sessions: _Sessions) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Beginnings and ends of trading in ascending order, and of which session each is; a lunch break parts a session
    into two stretches."""
    parted = sessions.break_starts > sessions.opens
    begins = np.sort(np.concatenate((sessions.opens, sessions.break_ends[parted])))
    ends = np.sort(np.concatenate((sessions.closes, sessions.break_starts[parted])))
    return begins, ends, np.searchsorted(sessions.opens, begins, side="right")


def _regular_session(sessions: _Sessions, start_ns: int) -> int:
    """The commonest trading time among the first 252 sessions after the start; the longer one of two as common."""
    opens, closes, break_starts, break_ends = sessions[:4]
    trading = closes - opens - np.where(break_starts > opens, break_ends - break_starts, 0)
    lengths, counts = np.unique(trading[closes > start_ns][:_SESSIONS_A_YEAR], return_counts=True)
    return int(lengths[::-1][np.argmax(counts[::-1])]) if lengths.size else 0
