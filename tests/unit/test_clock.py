"""The clock against exchanges' own timetables, and step_at as the inverse of times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import SimulationError
from pseudofeed.market.clock import Clock
from pseudofeed.market.exchange import ALWAYS_OPEN, resolve_timetable
from pseudofeed.times import format_step, format_time, parse_step, parse_time

pytest.importorskip("exchange_calendars")

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def clock(start: str, step: str, calendar: str = ALWAYS_OPEN, *, night: float = 0.0, end: str | None = None) -> Clock:
    start_ns, end_ns = parse_time(start), None if end is None else parse_time(end)
    timetable = None if calendar == ALWAYS_OPEN else resolve_timetable(calendar, start_ns, end_ns)
    return Clock(start_ns, parse_step(step), timetable, night, end_ns)


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
        "2026-03-09T20:00:00Z",  # the last step is half an hour
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


def test_a_step_never_crosses_a_lunch_break_and_ends_with_its_stretch() -> None:
    tokyo = clock("2026-03-02T00:00:00Z", "4h", "XTKS")
    assert stamps(tokyo, 0, 4) == [
        "2026-03-02T00:00:00Z",
        "2026-03-02T02:30:00Z",
        "2026-03-02T06:30:00Z",
        "2026-03-03T02:30:00Z",
    ]
    assert tokyo.step_lengths(1, 3).tolist() == [2.5 * HOUR, 3 * HOUR, 2.5 * HOUR]
    assert tokyo.step_years(1, 2).tolist() == [2.5 / (252 * 5.5), 3 / (252 * 5.5)]


def test_a_step_of_a_day_is_a_whole_session() -> None:
    tokyo = clock("2026-03-02T01:00:00Z", "1d", "XTKS")  # an hour after the opening
    assert stamps(tokyo, 0, 3) == ["2026-03-02T01:00:00Z", "2026-03-02T06:30:00Z", "2026-03-03T06:30:00Z"]
    assert tokyo.step_lengths(1, 2).tolist() == [4.5 * HOUR, 5.5 * HOUR]
    assert tokyo.dt == 1 / 252
    assert clock("2026-03-02T01:00:00Z", "24h", "XTKS") == tokyo
    assert [tokyo.step_at(time) for time in (parse_time("2026-03-02T06:29:59Z"), parse_time("2026-03-02T06:30Z"))] == [
        0, 1,
    ]  # fmt: skip
    half = clock("2026-11-27T12:00:00Z", "1d", "XNYS")
    assert half.step_years(1, 2).tolist() == [3.5 / (252 * 6.5), 1 / 252]
    with pytest.raises(ValueError, match="must be at most 1d"):
        clock("2026-03-02T01:00:00Z", "25h", "XTKS")


def test_an_end_is_the_last_step_at_or_before_it() -> None:
    always = clock("2026-03-02T00:00:00Z", "1h", end="2026-03-02T05:30:00Z")
    assert always.last_step == 5
    assert always.step_at(parse_time("2030-01-01T00:00:00Z")) == 5
    assert always.session(3).last_step == 5
    with pytest.raises(SimulationError, match=r"step 6 .* beyond its last step, 5: clock.end is 2026-03-02T05:30:00Z"):
        always.times(5, 2)
    assert clock("2026-03-02T00:00:00Z", "1h", end="2026-03-02T05:00:00Z").last_step == 5
    closing = clock("2026-03-02T00:00:00Z", "1h", "XNYS", end="2026-03-03T21:00:00Z")
    assert closing.last_step == 14
    assert clock("2026-03-02T00:00:00Z", "1h", "XNYS", end="2026-03-03T20:59:59Z").last_step == 13
    assert closing.known_until_ns == closing.end_ns
    # What a market has before its end does not depend on the end.
    assert (closing.times(0, 15) == clock("2026-03-02T00:00:00Z", "1h", "XNYS").times(0, 15)).all()
    with pytest.raises(ValueError, match="end_ns"):
        Clock(5, 1, end_ns=5)


def test_closes_are_the_ends_of_stretches() -> None:
    tokyo = clock("2026-03-02T00:00:00Z", "1min", "XTKS")
    first = tokyo.closes(None, parse_time("2026-03-03T02:30:00Z")).tolist()
    assert [format_time(time) for time in first] == [
        "2026-03-02T02:30:00Z", "2026-03-02T06:30:00Z", "2026-03-03T02:30:00Z",
    ]  # fmt: skip
    assert tokyo.closes(first[1], first[2]).tolist() == first[1:]
    assert clock("2026-03-02T00:00:00Z", "1min").closes(None, None).shape == (0,)


def test_every_tick_of_twelve_years_lies_in_a_session() -> None:
    calendars = pytest.importorskip("exchange_calendars")
    new_york = clock("2026-01-01T00:00:00Z", "7min", "XNYS")
    times = new_york.times(1, 56 * 252 * 12)
    calendar = calendars.get_calendar("XNYS", start="2026-01-01", end="2040-01-01")
    session = np.searchsorted(calendar.opens_nanos, times, side="right") - 1
    assert (times <= calendar.closes_nanos[session]).all()
    at_close = times == calendar.closes_nanos[session]
    assert (((times - calendar.opens_nanos[session]) % (7 * MINUTE) == 0) | at_close).all()
    assert (np.diff(times) > 0).all()
    in_each = np.bincount(session)[:-1]
    lengths = calendar.closes_nanos - calendar.opens_nanos
    assert (in_each == -(-lengths // (7 * MINUTE))[: len(in_each)]).all()
    assert at_close.sum() == len(in_each) + at_close[-1]


def after_nights(clock: Clock, steps: int) -> list[str]:
    return [format_time(int(time)) for time in clock.times(0, steps)[clock.gaps(0, steps)]]


def test_a_gap_is_a_night_or_a_weekend_but_no_lunch_break() -> None:
    tokyo = clock("2026-03-05T02:00:00Z", "30min", "XTKS", night=0.5)  # a Thursday, 11:00; lunch from 11:30
    assert after_nights(tokyo, 24) == ["2026-03-06T00:30:00Z", "2026-03-09T00:30:00Z"]
    assert tokyo.night_dt == 0.5 / 252
    futures = clock("2026-03-02T00:00:00Z", "6h", "24/5", night=1.0)  # sessions without a pause between them
    assert after_nights(futures, 30) == ["2026-03-09T06:00:00Z"]
    assert not clock("2026-03-05T02:00:00Z", "30min", "XTKS").gaps(0, 24).any()
    assert not clock("2026-03-02T14:30:00Z", "1d").gaps(0, 1000).any()


def test_a_start_just_before_the_close_has_a_short_first_step() -> None:
    late = clock("2026-03-02T20:50:00Z", "1h", "XNYS", night=1.0)  # ten minutes before the close
    assert stamps(late, 0, 2) == ["2026-03-02T20:50:00Z", "2026-03-02T21:00:00Z"]
    assert after_nights(late, 10) == ["2026-03-03T15:30:00Z", "2026-03-04T15:30:00Z"]


@settings(max_examples=40)
@given(st.integers(0, 3_000), st.integers(1, 400), st.sampled_from(["XNYS", "XTKS", "CMES"]))
def test_gaps_are_where_the_session_changes_wherever_one_asks(first_step: int, count: int, calendar: str) -> None:
    some = clock("2026-03-05T15:00:00Z", "47min", calendar, night=0.25)
    gaps = some.gaps(first_step, count)
    # Tokyo's lunch is one hour long; Chicago has no night but the weekend.
    pauses = np.diff(some.times(first_step, count)) - some.step_lengths(first_step + 1, count - 1)
    assert (gaps[1:] == (pauses >= (2 * HOUR if calendar == "XTKS" else HOUR))).all()
    assert (some.gaps(0, first_step + count)[first_step:] == gaps).all()


@pytest.mark.parametrize(("calendar", "variance"), [("24/7", 0.5), ("XNYS", -0.1), ("XNYS", float("nan"))])
def test_an_overnight_variance_needs_an_exchange(calendar: str, variance: float) -> None:
    with pytest.raises(ValueError, match=r"overnight_variance: found .* from 0 on, and 0 without a timetable"):
        clock("2026-03-02T14:30:00Z", "1s", calendar, night=variance)


@settings(max_examples=40)
@given(st.sampled_from(["24/7", "XNYS", "XTKS", "CMES"]), st.integers(0, 30_000), st.integers(0, 10**13), st.data())
def test_step_at_is_the_inverse_of_times(calendar: str, step: int, offset: int, data: st.DataObject) -> None:
    some = clock(format_time(parse_time("2026-03-05T00:00:00Z") + offset), f"{13 * MINUTE + 7}ns", calendar)
    first, second = some.times(step, 2).tolist()
    assert some.step_at(first) == step
    assert some.step_at(second - 1) == step
    assert some.step_at(data.draw(st.integers(first, second - 1))) == step
    assert some.times(max(step - 50, 0), 60)[min(step, 50)] == first


def test_clear_errors_where_time_ends() -> None:
    with pytest.raises(SimulationError, match=r"step 1000000 .* 2262-04-11T23:47:16\.854775807Z"):
        clock("2026-03-02T14:30:00Z", "366d").times(1_000_000, 1)
    shanghai = clock("2026-03-02T00:00:00Z", "1h", "XSHG")
    with pytest.raises(SimulationError, match=r"step 900 .* beyond its timetable, which ends at 2027-01-01T00:00:00Z"):
        shanghai.times(1, 900)
    with pytest.raises(SimulationError, match="beyond its timetable"):
        shanghai.step_at(parse_time("2027-01-04T03:00:00Z"))
    assert shanghai.step_at(shanghai.known_until_ns) == 832
    with pytest.raises(ValueError, match="first_step"):
        clock("2026-03-02T14:30:00Z", "1s").times(-1, 1)


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
    assert {parse_time(f"2026-03-02T16:30:00{offset}") for offset in ("+0200", "+02", "+02:00")} == {
        parse_time("2026-03-02T14:30:00Z")
    }
    assert format_time(parse_time("2026-03-02T09:30:00.000000001-05:00")) == "2026-03-02T14:30:00.000000001Z"
    assert parse_time(pd.Timestamp("2026-03-02T14:30:00.5Z").to_pydatetime()) % SECOND == SECOND // 2
