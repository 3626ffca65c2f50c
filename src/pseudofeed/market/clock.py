"""The time and length of each step: step 0 is the market's start, step n its n-th tick.

A 24/7 clock ticks at start + n * step. An exchange's clock ticks only while the exchange trades, by the market's own
timetable (timetable.py). Each stretch of trading (a session, or the part before or after its lunch break) has
ticks at its beginning + step, + 2 steps, ..., and at its end, so the last step of a stretch may be shorter:

    XTKS, step 1h     09:00 |---1h---|---1h---|-30min-| 11:30   lunch   12:30 |---1h---|...
    XTKS, step 4h     09:00 |----------2h 30min-------| 11:30   lunch   12:30 |-----3h-----| 15:30

A step's length in years is its trading time / (252 x the regular session). So the steps of a session add up to its
share of a year, whatever the step is, and a half day has less. The first stretch begins at the start, if that is inside
it. A step of one day is a whole session without its lunch break: one tick at its close.

A night is closed time between two sessions: a weekend is one night, a lunch break is none. It has no tick. Its effect
on prices is in the first step after it, which `gaps` marks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pseudofeed.errors import SimulationError
from pseudofeed.market.timetable import DAY_NS, SESSIONS_A_YEAR, Timetable
from pseudofeed.random._random import default_floating_point
from pseudofeed.times import LAST_NS, format_step, format_time

__all__ = ["Clock", "Session"]

_ALWAYS_OPEN_YEAR_NS = 1461 * DAY_NS // 4


@dataclass(frozen=True, slots=True)
class Session:
    """A session's steps, first_step to last_step, and when it opens: ns since 1970, UTC. The first step is one
    step later, but for a 24/7 clock, whose days may begin with a tick."""

    first_step: int
    last_step: int
    opening_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """start_ns: int64 nanoseconds since 1970, UTC. step_ns: trading time between two ticks; of an exchange at most
    a day, which is a whole session.

    timetable: when the exchange trades; None: always (24/7). overnight_variance: of a night, in regular sessions (0.5:
    as much as half a session's). end_ns: the market's end, None: none; a step at it is the last one.
    """

    start_ns: int
    step_ns: int
    timetable: Timetable | None = None
    overnight_variance: float = 0.0
    end_ns: int | None = None
    _trading: _Trading | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start_ns <= LAST_NS:
            raise ValueError(f"start_ns: found {self.start_ns}, must be from 0 to {LAST_NS}")
        if not 0 < self.step_ns <= LAST_NS:
            raise ValueError(f"step_ns: found {self.step_ns}, must be from 1 to {LAST_NS}")
        if self.end_ns is not None and not self.start_ns < self.end_ns <= LAST_NS:
            raise ValueError(f"end_ns: found {self.end_ns}, must be after start_ns, {self.start_ns}, up to {LAST_NS}")
        if not 0 <= self.overnight_variance < math.inf or (self.overnight_variance and self.timetable is None):
            raise ValueError(
                f"overnight_variance: found {self.overnight_variance!r}, must be a number from 0 on, and 0 without a "
                "timetable (24/7)"
            )
        if self.timetable is not None:
            if self.step_ns > DAY_NS:
                raise ValueError(f"step_ns: found {format_step(self.step_ns)}, must be at most 1d with a timetable")
            object.__setattr__(self, "_trading", _Trading.of(self.timetable, self.start_ns, self.step_ns))

    @property
    def year_ns(self) -> int:
        """The trading time of a year: 365.25 days, or 252 regular sessions."""
        if self.timetable is None:
            return _ALWAYS_OPEN_YEAR_NS
        return SESSIONS_A_YEAR * self.timetable.regular_ns

    @property
    def grain_ns(self) -> int:
        """All times of the clock are whole multiples of it. It decides the format of times in a file."""
        times = () if self.timetable is None else self.timetable.bounds
        return math.gcd(self.start_ns, self.step_ns, *(int(np.gcd.reduce(bounds)) for bounds in times))

    @property
    @default_floating_point
    def dt(self) -> float:
        """A whole step in years; the last step of a stretch of trading may be shorter: see `step_years`."""
        if self.timetable is not None and self.step_ns == DAY_NS:
            return 1 / SESSIONS_A_YEAR
        return self.step_ns / self.year_ns

    @property
    @default_floating_point
    def longest_dt(self) -> float:
        """The longest step of the clock, in years."""
        if self._trading is None:
            return self.dt
        return int(min(self.step_ns, self._trading.lengths.max())) / self.year_ns

    @property
    @default_floating_point
    def night_dt(self) -> float:
        """A night in years: overnight_variance of the year's 252 sessions."""
        return self.overnight_variance / SESSIONS_A_YEAR

    @property
    def last_step(self) -> int | None:
        """The market's last step, where it has an end: the last one at or before it, as far as the timetable knows."""
        return None if self.end_ns is None else self.step_at(self.end_ns)

    @property
    def last_known_step(self) -> int:
        """The last step that `times` gives: the market's last one, or that with which the timetable or 64-bit time
        ends."""
        if self.end_ns is not None:
            return self.step_at(self.end_ns)
        return (LAST_NS - self.start_ns) // self.step_ns if self._trading is None else int(self._trading.last_steps[-1])

    @property
    def known_until_ns(self) -> int:
        """The time up to which the clock knows its steps: its end, the timetable's end, or the end of 64-bit time."""
        ends = [LAST_NS, self.end_ns or LAST_NS, self.timetable.until_ns if self.timetable else LAST_NS]
        return min(ends)

    @default_floating_point
    def step_years(self, first_step: int, count: int) -> NDArray[np.float64]:
        """The lengths of the steps first_step .. first_step + count - 1 in years, float64 (count,): each one's trading
        time in ns divided once, rounded to nearest, by `year_ns`; both are exact doubles. Raises as `times` does, and
        ValueError for step 0, which has no length."""
        if self._trading is None:
            self._check_lengths(first_step, count)
            return np.full(count, self.dt)
        return np.asarray(self.step_lengths(first_step, count) / float(self.year_ns), dtype=np.float64)

    def step_lengths(self, first_step: int, count: int) -> NDArray[np.int64]:
        """The trading time of the steps first_step .. first_step + count - 1, int64 (count,), ns. Raises as
        `step_years`."""
        self._check_lengths(first_step, count)
        lengths = np.full(count, self.step_ns, dtype=np.int64)
        if self._trading is not None and count:
            stretches = self._trading.holding(first_step, count)
            whole = (stretches.last_steps - stretches.before - 1) * self.step_ns
            stretches.put_at_ends(lengths, first_step, stretches.lengths - whole)
        return lengths

    def times(self, first_step: int, count: int) -> NDArray[np.int64]:
        """Times of the steps first_step .. first_step + count - 1, int64 (count,), ns since 1970.

        Step 0 is the start (an exchange's clock: the next opening, if the start lies outside of trading). Raises
        ValueError for negative arguments, SimulationError if a step lies beyond the market's end, its timetable or 64
        bits.
        """
        self._check(first_step, count)
        times = np.arange(count, dtype=np.int64) * self.step_ns
        if self._trading is None:
            return times + (self.start_ns + first_step * self.step_ns)
        if count:
            stretches = self._trading.holding(first_step, count)
            seen = np.maximum(stretches.before, first_step - 1)
            seen[0] = min(seen[0], first_step - 1)  # step 0 is in the first stretch
            steps = np.minimum(stretches.last_steps, first_step + count - 1) - seen
            times += np.repeat(stretches.begins + (first_step - stretches.before) * self.step_ns, steps)
            stretches.put_at_ends(times, first_step, stretches.ends)
        return times

    def gaps(self, first_step: int, count: int) -> NDArray[np.bool_]:
        """Which of the steps first_step .. first_step + count - 1 are the first after a night, bool (count,).

        Never step 0, and none if a night has no variance. Raises as `times` does.
        """
        self._check(first_step, count)
        gaps = np.zeros(count, dtype=np.bool_)
        if self._trading is not None and self.overnight_variance and count:
            stretches = self._trading.holding(first_step, count)
            first = stretches.before[stretches.after_night] + 1 - first_step
            gaps[first[first >= 0]] = True
        return gaps

    def step_at(self, time_ns: int) -> int:
        """The last step at or before the time; -1 before step 0; after the market's end its last step. Raises
        SimulationError if the timetable ends before that."""
        if self.end_ns is not None:
            time_ns = min(time_ns, self.known_until_ns)
        if self._trading is None:
            return max((time_ns - self.start_ns) // self.step_ns, -1)
        if time_ns < self._trading.begins[0]:
            return -1
        if time_ns > max(self.known_until_ns, int(self._trading.ends[-1])):
            raise self._beyond(format_time(time_ns) if time_ns <= LAST_NS else "a later moment")
        return self._trading.step_at(time_ns, self.step_ns)

    def session(self, step: int) -> Session:
        """The session that a step (from 1 on) is in: an exchange's session with both sides of its lunch break, or the
        UTC day of a 24/7 clock. A session that contains the start opens at the start. Raises as `times` does."""
        trading = self._trading
        if trading is None:
            midnight = int(self.times(step, 1)[0]) // DAY_NS * DAY_NS
            first = max(-((self.start_ns - midnight) // self.step_ns), 1)
            last = -((self.start_ns - midnight - DAY_NS) // self.step_ns) - 1
            return Session(first, self._capped(last), max(midnight, self.start_ns))
        self._check(step, 1)
        own = trading.sessions[np.searchsorted(trading.last_steps, step)]
        begin, end = np.searchsorted(trading.sessions, own), np.searchsorted(trading.sessions, own, "right")
        last = self._capped(int(trading.last_steps[end - 1]))
        return Session(int(trading.before[begin]) + 1, last, int(trading.begins[begin]))

    def closes(self, start_ns: int | None, end_ns: int | None) -> NDArray[np.int64]:
        """The ends of stretches of trading with start <= time <= end, None: open; int64 (C,), ns. None of a 24/7 clock.
        A tick at such a time belongs to the bar before it, since trading is over."""
        if self._trading is None:
            return np.empty(0, dtype=np.int64)
        ends = self._trading.ends
        first = 0 if start_ns is None else int(np.searchsorted(ends, start_ns, side="left"))
        return ends[first : None if end_ns is None else int(np.searchsorted(ends, end_ns, side="right"))]

    def _capped(self, step: int) -> int:
        """The step, or the market's last step if that is earlier."""
        last = self.last_step
        return step if last is None else min(step, last)

    def _check_lengths(self, first_step: int, count: int) -> None:
        if first_step < 1:
            raise ValueError(f"first_step: found {first_step}, must be 1 or more; step 0 has no length")
        self._check(first_step, count)

    def _check(self, first_step: int, count: int) -> None:
        """Raises if the clock does not have these steps."""
        if first_step < 0 or count < 0:
            raise ValueError(f"first_step and count: found {first_step} and {count}, must be 0 or more")
        step = first_step + count - 1
        if self.end_ns is not None and count and step > (self.last_step or 0):
            raise SimulationError(
                f"step {step} of a market from {format_time(self.start_ns)} lies beyond its last step, "
                f"{self.last_step}: {self._end_text()}"
            )
        if self._trading is not None and count and step > self._trading.last_steps[-1]:
            raise self._beyond(f"step {step}")
        if self._trading is None and self.start_ns + step * self.step_ns > LAST_NS:
            raise SimulationError(
                f"step {step} of {format_step(self.step_ns)} after {format_time(self.start_ns)} lies beyond "
                f"{format_time(LAST_NS)}, where 64-bit nanoseconds end"
            )

    def _end_text(self) -> str:
        assert self.end_ns is not None
        if self.known_until_ns < self.end_ns:
            return f"its timetable ends at {format_time(self.known_until_ns)}, before clock.end"
        return f"clock.end is {format_time(self.end_ns)}"

    def _beyond(self, wanted: str) -> SimulationError:
        assert self.timetable is not None
        assert self._trading is not None
        return SimulationError(
            f"{wanted} of a market from {format_time(self.start_ns)} lies beyond its timetable, which ends at "
            f"{format_time(self.timetable.until_ns)}, after step {self._trading.last_steps[-1]}"
        )


class _Trading(NamedTuple):
    """The stretches of trading from the start on, int64 (S,) each. begins, ends: ns since 1970. lengths: trading
    time in ns. last_steps: the number of the last step in it; before: of the last one before it. after_night: bool,
    whether a night lies before it, behind the start. sessions: which one it is of, ascending."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    lengths: NDArray[np.int64]
    last_steps: NDArray[np.int64]
    before: NDArray[np.int64]
    after_night: NDArray[np.bool_]
    sessions: NDArray[np.int64]

    @classmethod
    def of(cls, timetable: Timetable, start_ns: int, step_ns: int) -> _Trading:
        """Raises SimulationError where the timetable ends before the start."""
        parted = timetable.break_starts < timetable.break_ends
        begins = np.sort(np.concatenate((timetable.opens, timetable.break_ends[parted])))
        ends = np.sort(np.concatenate((timetable.closes, timetable.break_starts[parted])))
        sessions = np.searchsorted(timetable.opens, begins, side="right")
        ahead = ends > start_ns
        if not ahead.any():
            raise SimulationError(
                f"a market from {format_time(start_ns)} lies beyond its timetable, which ends at "
                f"{format_time(timetable.until_ns)}"
            )
        begins, ends, sessions = np.maximum(begins[ahead], start_ns), ends[ahead], sessions[ahead]
        lengths = ends - begins
        if step_ns == DAY_NS:  # the halves of a session are one step
            first = np.concatenate(([True], sessions[1:] != sessions[:-1]))
            last = np.concatenate((first[1:], [True]))
            lengths = np.add.reduceat(lengths, np.flatnonzero(first))
            begins, ends, sessions = begins[first], ends[last], sessions[first]
            steps = np.ones_like(lengths)
        else:
            steps = -(-lengths // step_ns)
        after_night = np.concatenate(([False], (sessions[1:] != sessions[:-1]) & (begins[1:] > ends[:-1])))
        last_steps = np.cumsum(steps)
        return cls(begins, ends, lengths, last_steps, last_steps - steps, after_night, sessions)

    def holding(self, first_step: int, count: int) -> _Trading:
        """The stretches that hold these steps, at least one of them each."""
        first, last = np.searchsorted(self.last_steps, [max(first_step, 1), max(first_step + count - 1, 1)])
        cut = slice(first, last + 1)
        return _Trading(
            self.begins[cut], self.ends[cut], self.lengths[cut], self.last_steps[cut], self.before[cut],
            self.after_night[cut], self.sessions[cut],
        )  # fmt: skip

    def put_at_ends(self, out: NDArray[np.int64], first_step: int, values: NDArray[np.int64]) -> None:
        """Set those of `out`, the steps from `first_step` on, that end a stretch."""
        place = self.last_steps - first_step
        within = place < len(out)
        out[place[within]] = values[within]

    def step_at(self, time_ns: int, step_ns: int) -> int:
        """The last step at or before a time that is not before the first stretch."""
        stretch = int(np.searchsorted(self.begins, time_ns, side="right")) - 1
        if time_ns >= self.ends[stretch]:
            return int(self.last_steps[stretch])
        before = int(self.before[stretch])
        return before if step_ns == DAY_NS else before + (time_ns - int(self.begins[stretch])) // step_ns
