"""However steps are cut into blocks, the clock says the same of each: for every timetable that it takes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed import Market
from pseudofeed.market.clock import Clock
from pseudofeed.market.timetable import DAY_NS, Timetable
from pseudofeed.times import format_time

MINUTE = 60 * 10**9
BEGIN = 20_000 * DAY_NS

# Often two of a day's times are the same.
times_of_day = st.sampled_from([2, 4]).flatmap(
    lambda count: st.lists(st.integers(0, 26).map(lambda hour: hour * 60), min_size=count, max_size=count).map(sorted)
)
days_of_times = st.lists(times_of_day, min_size=1, max_size=6)
steps_ns = st.one_of(st.integers(7 * MINUTE, DAY_NS), st.sampled_from([30 * MINUTE, 60 * MINUTE, DAY_NS]))


def hours(times: list[int]) -> str:
    texts = [f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in times]
    return " ".join(f"{begin}/{end}" for begin, end in zip(texts[::2], texts[1::2], strict=True))


def table(days: list[list[int]]) -> dict[str, object]:
    lines = [f"{format_time(BEGIN + day * DAY_NS)[:10]} {hours(times)}" for day, times in enumerate(days)]
    until = format_time(BEGIN + len(days) * DAY_NS)
    return {"regular_session": "5h", "until": until, "weekdays": "Mon", "hours": lines[:1], "days": lines, "source": ""}


@given(days_of_times, steps_ns, st.integers(0, 50 * 60))
def test_steps_asked_at_once_are_those_asked_one_by_one(days: list[list[int]], step_ns: int, later: int) -> None:
    try:
        timetable = Timetable.of_table(table(days))
    except ValueError:
        in_order = all(before < after for times in days for before, after in pairwise(times))
        assert not in_order or any(one[-1] > 24 * 60 + other[0] for one, other in pairwise(days))
        return
    again = Timetable.of_table(timetable.to_table())
    assert again.sha256 == timetable.sha256
    start_ns = min(BEGIN + later * MINUTE, int(timetable.closes[-1]) - 1)
    clock = Clock(start_ns, step_ns, timetable, overnight_variance=0.5)
    last = clock.step_at(int(timetable.closes[-1]))
    times, lengths, gaps = clock.times(0, last + 1), clock.step_lengths(1, last), clock.gaps(1, last)
    assert (np.diff(times) > 0).all()
    assert ((lengths > 0) & (lengths <= np.diff(times))).all()
    assert [clock.step_at(time) for time in times.tolist()] == list(range(last + 1))
    for count in (1, 2, 3):
        firsts = range(1, last + 1, count)
        cuts = [(first, min(count, last + 1 - first)) for first in firsts]
        assert np.concatenate([clock.times(*cut) for cut in cuts]).tolist() == times[1:].tolist()
        assert np.concatenate([clock.step_lengths(*cut) for cut in cuts]).tolist() == lengths.tolist()
        assert np.concatenate([clock.gaps(*cut) for cut in cuts]).tolist() == gaps.tolist()


@pytest.mark.parametrize("step", ["1h", "1d"])
def test_ticks_do_not_depend_on_blocks_where_a_table_has_lunch_breaks(step: str) -> None:
    market = Market.loads(f"""
        market = {{ name = "m", seed = 7 }}
        factors = {{ names = ["a"], volatilities = [0.16] }}
        instruments = {{ count = 3 }}
        [clock]
        start = "2026-03-02T14:30:00Z"
        step = "{step}"
        calendar = "OWN"
        overnight_variance = 0.5
        [clock.timetable]
        regular_session = "60min"
        until = "2026-04-01T00:00:00Z"
        weekdays = "Mon Tue Wed Thu Fri"
        hours = ["2026-03-02 14:30/14:31 15:00/21:00", "2026-03-04 14:30/20:00 20:59/21:00"]
    """)
    prices = market.simulate(20).prices[1:]
    for block_steps in (1, 2, 3, 7):
        blocks = list(market.stream(steps=20, block_steps=block_steps))
        assert (np.concatenate([block.prices for block in blocks]) == prices).all()
