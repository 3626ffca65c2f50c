"""The clock against exchanges' own timetables, and step_at as the inverse of times."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import LibraryError, MarketFileError, SimulationError
from pseudofeed.market.clock import Clock
from pseudofeed.times import format_step, format_time, parse_step, parse_time

# exchange_calendars itself uses pandas in ways that pandas warns of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def clock(start: str, step: str, calendar: str = "24/7") -> Clock:
    return Clock(parse_time(start), parse_step(step), calendar)


def stamps(clock: Clock, first_step: int, count: int) -> list[str]:
    return [format_time(int(time)) for time in clock.times(first_step, count)]


def test_an_always_open_clock_has_a_julian_year() -> None:
    always = clock("2026-03-02T14:30:00Z", "100ms")
    assert stamps(always, 0, 2) == ["2026-03-02T14:30:00Z", "2026-03-02T14:30:00.1Z"]
    assert always.dt == 1e8 / (365.25 * 86_400e9)
    assert always.times(5, 0).shape == (0,)
    assert always.step_at(always.start_ns - 1) == -1


def test_summer_time_moves_new_yorks_ticks_by_an_hour() -> None:
    new_york = clock("2026-03-06T19:00:00Z", "2h", "XNYS")  # a Friday, 14:00 in New York; summer time from Sunday on
    assert stamps(new_york, 0, 6) == [
        "2026-03-06T19:00:00Z",
        "2026-03-06T21:00:00Z",  # the close itself is a tick
        "2026-03-09T15:30:00Z",  # opens at 13:30, no longer 14:30
        "2026-03-09T17:30:00Z",
        "2026-03-09T19:30:00Z",
        "2026-03-10T15:30:00Z",
    ]
    assert new_york.year_ns == 252 * 6.5 * HOUR


def test_a_half_day_is_short_and_the_regular_session_is_not() -> None:
    new_york = clock("2026-11-26T12:00:00Z", "30min", "XNYS")  # Thanksgiving: step 0 is Friday's opening
    times = stamps(new_york, 0, 9)
    assert times[0] == "2026-11-27T14:30:00Z"
    assert times[7] == "2026-11-27T18:00:00Z"
    assert times[8] == "2026-11-30T15:00:00Z"
    assert new_york.year_ns == 252 * 6.5 * HOUR


def test_there_is_no_tick_in_a_lunch_break() -> None:
    tokyo = clock("2026-03-02T02:00:00Z", "30min", "XTKS")  # 11:00; lunch from 11:30 to 12:30
    assert stamps(tokyo, 0, 3) == ["2026-03-02T02:00:00Z", "2026-03-02T02:30:00Z", "2026-03-02T04:00:00Z"]
    assert tokyo.year_ns == 252 * 5.5 * HOUR


def test_every_tick_of_twelve_years_lies_in_a_session() -> None:
    calendars = pytest.importorskip("exchange_calendars")
    new_york = clock("2026-01-01T00:00:00Z", "7min", "XNYS")
    times = new_york.times(1, 55 * 252 * 12)
    calendar = calendars.get_calendar("XNYS", start="2026-01-01", end="2040-01-01")
    session = np.searchsorted(calendar.opens_nanos, times, side="right") - 1
    assert (times <= calendar.closes_nanos[session]).all()
    assert ((times - calendar.opens_nanos[session]) % (7 * MINUTE) == 0).all()
    assert (np.diff(times) > 0).all()
    in_each = np.bincount(session)[:-1]
    lengths = calendar.closes_nanos - calendar.opens_nanos
    assert (in_each == (lengths // (7 * MINUTE))[: len(in_each)]).all()


def after_nights(clock: Clock, steps: int) -> list[str]:
    return [format_time(int(time)) for time in clock.times(0, steps)[clock.gaps(0, steps)]]


def test_a_gap_is_a_night_or_a_weekend_but_no_lunch_break() -> None:
    tokyo = Clock(parse_time("2026-03-05T02:00:00Z"), HOUR // 2, "XTKS", 0.5)  # a Thursday, 11:00; lunch from 11:30
    assert after_nights(tokyo, 24) == ["2026-03-06T00:30:00Z", "2026-03-09T00:30:00Z"]
    assert tokyo.night_dt == 0.5 / 252
    futures = Clock(parse_time("2026-03-02T00:00:00Z"), 6 * HOUR, "24/5", 1.0)  # sessions without a pause between them
    assert after_nights(futures, 30) == ["2026-03-09T06:00:00Z"]
    assert not Clock(tokyo.start_ns, tokyo.step_ns, "XTKS").gaps(0, 24).any()
    assert not clock("2026-03-02T14:30:00Z", "1d").gaps(0, 1000).any()


def test_there_is_a_gap_even_where_the_start_leaves_no_step_of_its_session() -> None:
    late = Clock(parse_time("2026-03-02T20:50:00Z"), HOUR, "XNYS", 1.0)  # ten minutes before the close
    assert after_nights(late, 8) == ["2026-03-03T15:30:00Z", "2026-03-04T15:30:00Z"]


@settings(max_examples=40)
@given(st.integers(0, 3_000), st.integers(1, 400), st.sampled_from(["XNYS", "XTKS", "CMES"]))
def test_gaps_are_where_the_session_changes_wherever_one_asks(first_step: int, count: int, calendar: str) -> None:
    some = Clock(parse_time("2026-03-05T15:00:00Z"), 47 * MINUTE, calendar, 0.25)
    gaps = some.gaps(first_step, count)
    # Chicago's night is one hour long, Tokyo's lunch too; what a stretch leaves over of a step comes on top.
    pauses = np.diff(some.times(first_step, count)) - 47 * MINUTE
    assert (gaps[1:] == (pauses >= (2 * HOUR if calendar == "XTKS" else HOUR))).all()
    assert (some.gaps(0, first_step + count)[first_step:] == gaps).all()


@pytest.mark.parametrize(("calendar", "variance"), [("24/7", 0.5), ("XNYS", -0.1), ("XNYS", float("nan"))])
def test_an_overnight_variance_needs_an_exchange(calendar: str, variance: float) -> None:
    with pytest.raises(ValueError, match=r"overnight_variance: found .* from 0 on, and 0 where the calendar is 24/7"):
        Clock(0, SECOND, calendar, variance)


@settings(max_examples=40)
@given(st.sampled_from(["24/7", "XNYS", "XTKS", "CMES"]), st.integers(0, 30_000), st.integers(0, 10**13), st.data())
def test_step_at_is_the_inverse_of_times(calendar: str, step: int, offset: int, data: st.DataObject) -> None:
    some = Clock(parse_time("2026-03-05T00:00:00Z") + offset, 13 * MINUTE + 7, calendar)
    first, second = some.times(step, 2).tolist()
    assert some.step_at(first) == step
    assert some.step_at(second - 1) == step
    assert some.step_at(data.draw(st.integers(first, second - 1))) == step
    assert some.times(max(step - 50, 0), 60)[min(step, 50)] == first


def test_clear_errors_where_time_ends() -> None:
    with pytest.raises(SimulationError, match=r"step 1000000 .* 2262-04-11T23:47:16\.854775807Z"):
        clock("2026-03-02T14:30:00Z", "366d").times(1_000_000, 1)
    hong_kong = clock("2048-03-02T14:30:00Z", "1h", "XHKG")
    with pytest.raises(SimulationError, match=r"XHKG .* ends"):
        hong_kong.times(1, 10_000)
    with pytest.raises(SimulationError, match="XHKG"):
        clock("2060-03-02T14:30:00Z", "1h", "XHKG").times(1, 1)
    with pytest.raises(MarketFileError, match=r"clock\.step: found 7h; a session of XNYS has only 390min"):
        clock("2026-03-02T14:30:00Z", "7h", "XNYS").times(1, 1)
    with pytest.raises(ValueError, match="first_step"):
        clock("2026-03-02T14:30:00Z", "1s").times(-1, 1)


def test_without_exchange_calendars_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pseudofeed.market import clock as module

    module._calendar_names.cache_clear()
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(LibraryError, match=r"pip install 'pseudofeed\[calendar\]'"):
        clock("2026-03-02T14:30:00Z", "1s", "XNYS").times(1, 1)


@given(st.integers(0, 2**63 - 1))
def test_a_time_reads_back_as_it_was_written(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-03-02T14:30:00", "no offset"),
        ("2026-02-30T14:30:00Z", "no such date"),
        ("tomorrow", "ISO 8601"),
        ("1969-12-31T23:59:59Z", "outside 1970"),
        ("2263-01-01T00:00:00Z", "outside 1970"),
    ],
)
def test_what_is_wrong_with_a_time_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_time(text)


def test_steps_are_written_in_their_largest_unit() -> None:
    assert [format_step(parse_step(text)) for text in ("60s", "1000us", "90min", "1ns", "48h")] == [
        "1min", "1ms", "90min", "1ns", "2d",
    ]  # fmt: skip
    for text in ("0s", "1.5s", "-1s", "1 s", "s", "367d", "1m", "١s"):
        with pytest.raises(ValueError):
            parse_step(text)


def test_offsets_are_converted_to_utc() -> None:
    assert format_time(parse_time("2026-03-02T09:30:00.000000001-05:00")) == "2026-03-02T14:30:00.000000001Z"
    assert parse_time(pd.Timestamp("2026-03-02T14:30:00.5Z").to_pydatetime()) % SECOND == SECOND // 2
