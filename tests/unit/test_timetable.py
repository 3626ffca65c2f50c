"""A timetable as people read and write it, and what is wrong with one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.market.timetable import Timetable
from pseudofeed.times import format_time

TABLE: dict[str, Any] = {
    "regular_session": "330min",
    "until": "2026-03-14T00:00:00Z",
    "weekdays": "Mon Tue Wed Thu Fri",
    "hours": ["2026-03-02 00:00/02:30 03:30/06:30", "2026-03-09 -01:00/02:30 03:30/06:30:00.000000001"],
    "days": ["2026-03-04 closed", "2026-03-07 00:00/25:00"],
    "source": "by hand",
}


def test_a_table_is_what_it_says() -> None:
    timetable = Timetable.of_table(TABLE)
    assert [format_time(time) for time in timetable.opens.tolist()] == [
        *("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"),
        "2026-03-07T00:00:00Z",
        *(f"2026-03-{day:02d}T23:00:00Z" for day in range(8, 13)),
    ]
    assert format_time(int(timetable.closes[4])) == "2026-03-08T01:00:00Z"
    assert format_time(int(timetable.closes[5])) == "2026-03-09T06:30:00.000000001Z"
    assert timetable.trading[0] == 5.5 * 3600 * 10**9
    assert timetable.break_starts[4] == timetable.break_ends[4] == timetable.closes[4]
    again = Timetable.of_table(timetable.to_table())
    assert again == timetable
    assert hash(again) == hash(timetable)
    with pytest.raises(ValueError, match="read-only"):
        timetable.opens[0] = 0


def test_the_hash_is_of_what_decides_ticks() -> None:
    timetable = Timetable.of_table(TABLE)
    assert timetable.sha256 == "60e079d63f5f4abac6350f3fc4a5fe0245e1c7e3001feba2f2815484a412d088"
    assert Timetable.of_table({**TABLE, "source": "another"}) == timetable
    assert Timetable.of_table({**TABLE, "days": []}) != timetable
    assert Timetable.of_table({**TABLE, "regular_session": "5h"}) != timetable
    assert Timetable.of_table({**TABLE, "until": "2026-03-15T00:00:00Z"}) != timetable


def test_the_first_day_that_differs() -> None:
    timetable = Timetable.of_table(TABLE)
    assert timetable.first_difference(timetable) is None
    assert Timetable.of_table({**TABLE, "days": TABLE["days"][1:]}).first_difference(timetable) == "2026-03-04"
    assert timetable.first_difference(Timetable.of_table({**TABLE, "days": TABLE["days"][:1]})) == "2026-03-07"
    longer = Timetable.of_table({**TABLE, "until": "2026-03-21T00:00:00Z"})
    assert timetable.first_difference(longer) == "2026-03-15"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regular_session": "1"}, "regular_session or until: it is not a whole number followed by"),
        ({"until": "soon"}, "regular_session or until: it is not a date"),
        ({"weekdays": "Mon Tu"}, "weekdays: must be some of Mon Tue"),
        ({"weekdays": ""}, "weekdays: must be some of"),
        ({"hours": []}, "hours: must have a line"),
        ({"hours": ["2026-03-02 9:00/10:00"]}, r'hours\[0\]: found "2026-03-02 9:00/10:00"; must be like'),
        ({"hours": ["2026-03-02 closed"]}, r"hours\[0\]: hours can't be closed"),
        ({"days": ["2026-02-30 closed"]}, r"days\[0\]: there is no day 2026-02-30"),
        ({"days": ["2026-03-04 closed", "2026-03-04 closed"]}, r"days\[1\]: 2026-03-04 does not come after"),
        ({"hours": ["2026-03-02 14:99/21:00"]}, r'hours\[0\]: found "2026-03-02 14:99/21:00"; must be like'),
        ({"hours": ["2026-03-02 14:30:60/21:00"]}, r"hours\[0\]: found .* must be like"),
        ({"hours": ["1600-01-01 14:30/21:00"]}, r"hours\[0\]: 1600-01-01 is not within 1677-09-22 to 2262-04-11"),
        ({"days": ["0001-01-01 closed"]}, r"days\[0\]: 0001-01-01 is not within 1677-09-22 to 2262-04-11"),
        (
            {"hours": ["1677-09-22 -24:00/01:00"]},
            "its session of 1677-09-22 is not within 1677-09-21T00:12:43.145224193Z",
        ),
        (
            {"until": "2262-04-11T23:47:16.854775807Z", "hours": ["2262-04-07 14:30/24:00"]},
            "its session of 2262-04-11 is not within .* until come before it",
        ),
        *(
            ({"hours": [f"2026-03-02 {hours}"]}, "session from 2026-03-02T10:00:00Z does not go forward")
            for hours in (
                *("10:00/09:00", "10:00/10:00"),
                *("10:00/10:00 11:00/12:00", "10:00/11:00 12:00/12:00", "10:00/11:00 11:00/12:00"),
                *("10:00/11:00 09:00/12:00", "10:00/10:00 10:00/12:00", "10:00/10:00 10:00/10:00"),
            )
        ),
        ({"hours": ["2026-03-02 10:00/35:00"]}, "session from 2026-03-02T10:00:00Z does not end before the next"),
        ({"hours": ["2026-03-02 00:00/03:00 02:00/05:00"]}, "does not go forward"),
        ({"until": "2026-01-01T00:00:00Z"}, "it has no session"),
        ({"regular_session": "3d"}, "must be from 1ns to 2d"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Timetable.of_table({**TABLE, **change})


def test_sessions_of_other_weekdays_are_single_days() -> None:
    hours = {"hours": ["2026-03-01 08:00/14:00"], "days": ["2026-03-06 08:00/12:00"]}
    given = Timetable.of_table({**TABLE, **hours, "weekdays": "Sun Mon Tue Wed Thu", "until": "2026-03-28T00:00:00Z"})
    table = given.to_table()
    assert table["weekdays"] == "Mon Tue Wed Thu Sun"
    assert table["hours"] == ["2026-03-01 08:00/14:00"]
    assert table["days"] == ["2026-03-06 08:00/12:00"]
    assert Timetable.of_table(table) == given
    assert (np.diff(given.opens)[:12] // 86_400_000_000_000).tolist() == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 3, 1]


def test_every_session_has_a_day_of_its_own() -> None:
    """New Zealand's half day before Christmas ends on the day, in UTC, on which the whole one before it ended."""
    days = ["2024-12-23 -03:00/03:45", "2024-12-24 -03:00/-00:15"]
    hours = ["2024-12-20 -03:00/03:45"]
    change = {"regular_session": "405min", "until": "2024-12-24T12:00:00Z", "hours": hours, "days": days}
    given = Timetable.of_table({**TABLE, **change})
    table = given.to_table()
    assert table["hours"] == hours
    assert table["days"] == ["2024-12-24 -03:00/-00:15"]
    assert Timetable.of_table(table) == given


def test_sessions_that_share_a_day_move_to_the_next_and_too_many_are_refused() -> None:
    hour = 3600 * 10**9
    opens = np.arange(6) * 8 * hour + 20_000 * 24 * hour
    close = opens + 7 * hour
    given = Timetable(opens, close, close, close, 7 * hour, int(close[-1]))
    assert Timetable.of_table(given.to_table()) == given
    opens = np.arange(12) * 8 * hour + 20_000 * 24 * hour
    close = opens + 7 * hour
    with pytest.raises(ValueError, match=r"session from 2024-10-\S+ and those before it are more than one a day"):
        Timetable(opens, close, close, close, 7 * hour, int(close[-1]))


any_day = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(2262, 3, 20)) | st.dates(date(1970, 1, 1))
any_time = st.from_regex(r"-?\d\d:\d\d(:\d\d(\.\d{1,9})?)?", fullmatch=True) | st.sampled_from(["00:00", "24:00"])
pair = st.tuples(any_time, any_time).map("/".join)
any_hours = pair | st.tuples(pair, pair).map(" ".join)


@given(
    st.lists(st.tuples(any_day, any_hours), min_size=1, max_size=3),
    st.lists(st.tuples(any_day, any_hours | st.just("closed")), max_size=3),
    st.datetimes(datetime(1970, 1, 2), datetime(2262, 4, 11)) | st.just(datetime(2262, 4, 11, 23, 47, 16)),
)
@settings(max_examples=60)
def test_any_table_is_a_timetable_that_reads_back_or_says_why_it_is_none(
    hours: list[tuple[date, str]], days: list[tuple[date, str]], until: datetime
) -> None:
    lines = {
        key: [f"{day} {times}" for day, times in sorted(found)] for key, found in (("hours", hours), ("days", days))
    }
    try:
        timetable = Timetable.of_table({**TABLE, **lines, "until": f"{until.isoformat()[:19]}Z"})
    except ValueError:
        return
    assert Timetable.of_table(timetable.to_table()) == timetable
