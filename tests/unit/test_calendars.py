"""Every calendar of exchange_calendars: it works from any start, or one message names it and the library.

`make soak` takes all calendars and all years, in some ten minutes of a processor; by itself the test takes some of each
kind: with and without a lunch break, with sessions that open the day before (New Zealand's half days end then, too),
without nights, with other weekdays, known to a certain year only.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pseudofeed.errors import MarketFileError
from pseudofeed.market.clock import Clock
from pseudofeed.market.exchange import resolve_timetable
from pseudofeed.market.timetable import DAY_NS, Timetable
from pseudofeed.times import format_time, parse_step, parse_time
from soak import SOAK

calendars = pytest.importorskip("exchange_calendars")

ALL = SOAK > 1
NAMES = sorted({*calendars.get_calendar_names(include_aliases=False)} - {"24/7"})
if not ALL:
    NAMES = ["24/5", "CMES", "XASX", "XNYS", "XNZE", "XSAU", "XSHG", "XTKS"]
YEARS = range(2001, 2028) if ALL else (2001, 2024, 2026)
# Of a soak each calendar starts in every third year, its own third, and is looked at until the next start and beyond.
AHEAD_NS = (1200 if ALL else 400) * DAY_NS
STEPS = ("30min", "45min", "1h", "4h", "1d")


def starts(name: str) -> list[int]:
    """In a calendar's years a night, a moment of trading, and around Christmas."""
    days = ("01-02T00:00:00Z", "06-14T15:30:17.000000001Z", "12-20T02:00:00Z")
    years = YEARS[NAMES.index(name) % 3 :: 3] if ALL else YEARS
    return [parse_time(f"{year}-{days[(year + number) % 3]}") for number, year in enumerate(years)]


def timetable(name: str, start_ns: int, end_ns: int | None = None) -> Timetable | None:
    """None where the library says in one message that it does not know the calendar then."""
    try:
        return resolve_timetable(name, start_ns, end_ns)
    except MarketFileError as problem:
        text = str(problem)
        assert text.startswith(f"clock.calendar: {name} of exchange_calendars {calendars.__version__}")
        assert "\n" not in text
        return None


@cache
def schedule(name: str, first: str, last: str) -> tuple[list[int], ...]:
    """Opening, begin and end of the break, close of the library's sessions of these days, ns; a break that is none has
    the smallest int64."""
    kind = calendars.calendar_utils._default_calendar_factories[name]
    low, high = kind.bound_min(), kind.bound_max()
    table = calendars.get_calendar(
        name,
        start=first if low is None else max(first, str(low.date())),
        end=last if high is None else min(last, str(high.date())),
    ).schedule
    columns = [table[key] for key in ("open", "break_start", "break_end", "close")]
    return tuple(column.dt.as_unit("ns").astype("int64").tolist() for column in columns)


def reference_sessions(name: str, start_ns: int, until_ns: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """(trading time in ns, stretches) of each session from the start on that opens before `until_ns`."""
    found = []
    try:
        columns = schedule(name, "2000-12-01", "2028-12-31")
    except ValueError:  # Some calendars fail over some years: ask for those that were resolved.
        columns = schedule(
            name, f"{int(format_time(start_ns)[:4]) - 1}-12-01", format_time(until_ns + 31 * DAY_NS)[:10]
        )
    for opening, break_start, break_end, close in zip(*columns, strict=True):
        stretches = [(opening, break_start), (break_end, close)] if break_start > opening else [(opening, close)]
        stretches = [(max(begin, start_ns), end) for begin, end in stretches if end > start_ns]
        if stretches and opening < until_ns:
            found.append((sum(end - begin for begin, end in stretches), stretches))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_the_steps_of_each_session_add_up_to_its_trading_time(name: str) -> None:
    for start_ns in starts(name):
        known = timetable(name, start_ns)
        if known is None:
            continue
        until_ns = min(known.until_ns, start_ns + AHEAD_NS)
        sessions = reference_sessions(name, start_ns, until_ns)
        for step in STEPS:
            check_sessions(Clock(start_ns, parse_step(step), known), sessions)


def check_sessions(clock: Clock, sessions: list[tuple[int, list[tuple[int, int]]]]) -> None:
    dt, first = clock.dt, clock.step_years(1, 5)
    count = clock.step_at(sessions[-1][1][-1][1])
    times, lengths, years = clock.times(0, count + 1), clock.step_lengths(1, count), clock.step_years(1, count)
    ends = np.array([stretches[-1][1] for _, stretches in sessions])
    closing = np.searchsorted(times, ends)
    assert (times[closing] == ends).all()  # the last tick of each session is at its close
    sums = np.add.reduceat(lengths, np.concatenate(([0], closing[:-1])))
    assert sums.tolist() == [trading for trading, _ in sessions]
    assert years.tolist() == [length / clock.year_ns for length in lengths.tolist()]  # rounded once
    inside = np.zeros(count, dtype=bool)
    for _, stretches in sessions:
        for begin, end in stretches:
            low, high = np.searchsorted(times[1:], [begin, end], side="right")
            inside[low:high] = True
    assert inside.all()
    # Nothing that was asked changes anything.
    assert clock.dt == dt
    assert (clock.step_years(1, 5) == first).all()


@pytest.mark.parametrize("name", NAMES if ALL else ("XNYS", "XTKS"))
def test_seconds_add_up_too(name: str) -> None:
    start_ns = parse_time("2024-11-01T00:00:00Z")
    known = timetable(name, start_ns)
    if known is None:
        return
    clock = Clock(start_ns, parse_step("1s"), known)
    first, last = 1, clock.session(1).last_step
    for trading, _ in reference_sessions(name, start_ns, start_ns + 40 * DAY_NS)[:20]:  # the start may cut the first
        assert clock.step_lengths(first, last - first + 1).sum() == trading
        assert clock.times(last, 1)[0] == known.closes[np.searchsorted(known.closes, clock.times(last, 1)[0])]
        first = last + 1
        last = clock.session(first).last_step


@pytest.mark.parametrize("name", NAMES)
def test_a_timetable_reads_back_as_it_is_and_does_not_depend_on_the_end(name: str) -> None:
    for start_ns in starts(name):
        whole = timetable(name, start_ns)
        if whole is None:
            continue
        table = whole.to_table()
        again = Timetable.of_table(table)
        assert again.sha256 == whole.sha256
        assert again.to_table() == table
        short = timetable(name, start_ns, start_ns + 100 * DAY_NS)
        assert short is not None
        assert short.regular_ns == whole.regular_ns
        assert (short.opens == whole.opens[: len(short.opens)]).all()
        assert len(str(table)) < 40_000


def test_a_calendar_that_cannot_be_used_is_named_with_the_library() -> None:
    for name in calendars.get_calendar_names(include_aliases=False) if ALL else ("XBEL", "ASEX", "XTAE"):
        if name != "24/7":
            timetable(name, parse_time("2024-03-04T00:00:00Z"))
    with pytest.raises(MarketFileError, match=r"XSHG of exchange_calendars \S+ .* only recorded to the year"):
        resolve_timetable("XSHG", parse_time("2060-01-01T00:00:00Z"))
    with pytest.raises(MarketFileError, match=r'found "XNYX"; .* did you mean XNYS'):
        resolve_timetable("XNYX", parse_time("2026-01-01T00:00:00Z"))
