"""What a cache worker holds of a session, against looking at all of its ticks; and texts that are no quote."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.cache.quotes import NewestQuotes
from pseudofeed.cache.reader import parse_quote, parse_quotes
from pseudofeed.encode import decode_quotes
from pseudofeed.errors import DamagedQuote
from pseudofeed.market.clock import Clock, Session
from pseudofeed.market.exchange import resolve_timetable
from pseudofeed.records import TICK, Columns

DAY_NS = 86_400_000_000_000
INSTRUMENTS = 3
# Five steps a day, the first day's from its 3rd hour on.
CLOCK = Clock(start_ns=3 * DAY_NS + 3 * DAY_NS // 24, step_ns=DAY_NS // 5)
PRICES = np.random.default_rng(4).normal(size=(40, INSTRUMENTS))


def _columns(steps: list[int], instruments: list[int]) -> Columns:
    step = np.repeat(np.array(steps, np.int64), len(instruments))
    number = np.tile(np.array(instruments, np.int32), len(steps))
    return Columns(
        TICK, CLOCK.start_ns + step * CLOCK.step_ns, step, number, PRICES[step, number], -PRICES[step, number]
    )


# (first step, how many, a step that is missing in it or 0, instruments): batches that go back, overlap and leave gaps.
batches = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(0, 60), st.sets(st.integers(0, 2), min_size=1)),
    max_size=8,
)


@settings(max_examples=300)
@given(batches)
def test_a_session_is_known_only_if_all_of_it_was_seen(given: list[tuple[int, int, int, set[int]]]) -> None:
    quotes = NewestQuotes(CLOCK, INSTRUMENTS)
    seen: list[set[int]] = [set() for _ in range(INSTRUMENTS)]
    for first, count, missing, instruments in given:
        steps = [step for step in range(first, first + count) if step != missing]
        quotes.take(_columns(steps, sorted(instruments)))
        for number in instruments:
            seen[number].update(steps)
    for number in range(INSTRUMENTS):
        newest = max(seen[number], default=0)
        assert quotes.sequence[number] == newest
        if not quotes.known[number]:
            continue
        session = CLOCK.session(newest)
        assert set(range(session.first_step, newest + 1)) <= seen[number]
        prices = PRICES[session.first_step : newest + 1, number]
        assert (quotes.open[number], quotes.high[number], quotes.low[number]) == (
            prices[0], prices.max(), prices.min(),
        )  # fmt: skip


@given(st.lists(st.integers(1, 6), min_size=1, max_size=9), st.booleans())
def test_a_session_read_in_order_is_always_known(lengths: list[int], repeated: bool) -> None:
    quotes = NewestQuotes(CLOCK, INSTRUMENTS)
    step = 1
    for length in lengths:
        steps = list(range(step, min(step + length, 40)))
        quotes.take(_columns(steps + steps if repeated else steps, [0, 1, 2]))
        step += len(steps)
        assert quotes.known.all()
        assert (quotes.price == PRICES[step - 1]).all()


def test_sessions_of_clocks() -> None:
    # The day's last step is before midnight; a tick at midnight is the next day's.
    assert CLOCK.session(1) == CLOCK.session(4) == Session(1, 4, CLOCK.start_ns)
    assert CLOCK.session(5) == CLOCK.session(9) == Session(5, 9, 4 * DAY_NS)
    assert Clock(start_ns=4 * DAY_NS, step_ns=DAY_NS // 4).session(4) == Session(4, 7, 5 * DAY_NS)
    assert Clock(start_ns=0, step_ns=2 * DAY_NS).session(3) == Session(3, 3, 6 * DAY_NS)


@pytest.mark.parametrize("calendar", ["XNYS", "XTKS"])
def test_an_exchanges_session_has_both_halves_of_its_day(calendar: str) -> None:
    import exchange_calendars

    days = exchange_calendars.get_calendar(calendar, start="2026-03-01", end="2026-03-20").schedule
    start_ns = days["open"].iloc[1].value + 3_600_000_000_000
    clock = Clock(start_ns, step_ns=60_000_000_000, timetable=resolve_timetable(calendar, start_ns))
    times = clock.times(1, 1200)
    for day in range(1, 4):
        inside = np.flatnonzero((times > days["open"].iloc[day].value) & (times <= days["close"].iloc[day].value)) + 1
        opening = max(days["open"].iloc[day].value, clock.start_ns)
        expected = Session(int(inside[0]), int(inside[-1]), int(opening))
        if inside[-1] < 1200:  # all of it is among the times
            assert {clock.session(int(step)) for step in (inside[0], inside[len(inside) // 2], inside[-1])} == {
                expected
            }


texts = st.one_of(
    st.none(),
    st.integers(-2, 2**64).map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["", "+1", " 1", "1_0", "007", "-0.0", "1e999", "1e-999", "0x1p3", "nan", "infinity", "é", "1.5\0"]
    ),
)


finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=3)


@given(whole, st.lists(finite, min_size=5, max_size=5), st.booleans())
def test_a_quote_is_read_back_to_the_bit(integers: list[int], doubles: list[float], known: bool) -> None:
    columns = np.empty((3, 1), np.int64), np.empty((5, 1))
    end = list(map(repr, doubles[2:])) if known else [None] * 3
    assert decode_quotes([[*map(str, integers), *map(repr, doubles[:2]), *end]], *columns)
    assert columns[0][:, 0].tolist() == integers
    assert list(map(repr, columns[1][:, 0].tolist())) == list(
        map(repr, doubles if known else [*doubles[:2], *[np.nan] * 3])
    )


@given(st.lists(st.one_of(st.just("7"), texts), min_size=8, max_size=8))
def test_many_quotes_are_read_as_one_is(answer: list[str | None]) -> None:
    integers, doubles = np.empty((3, 2), np.int64), np.empty((5, 2))
    if decode_quotes([RIGHT, answer], integers, doubles):
        row = parse_quote("key", answer)
        assert row is not None
        assert row[:3] == tuple(integers[:, 1].tolist())
        assert list(map(repr, row[3:])) == list(map(repr, doubles[:, 1].tolist()))
        assert parse_quote("key", list(RIGHT)) == (*integers[:, 0].tolist(), *doubles[:, 0].tolist())


RIGHT = ["7", "5", "1", "1.5", "0.04", "1.5", "1.5", "1.5"]


@pytest.mark.parametrize(
    ("field", "text", "named"),
    [
        (0, None, "epoch"), (1, "rubbish", "sequence"), (1, "-1", "sequence"), (2, str(2**63), "time_ns"),
        (3, "much", "price"), (3, "inf", "price"), (3, None, "price"), (4, "nan", "variance"),
        (6, "x" * 5000, "high"), (7, None, "low"),
    ],
)  # fmt: skip
def test_a_damaged_quote_names_key_and_field(field: int, text: str | None, named: str) -> None:
    assert parse_quotes(["k"], [RIGHT]).sequence.tolist() == [5]
    with pytest.raises(DamagedQuote) as caught:
        parse_quotes(["pseudofeed:{m.0}:quote:ALFA"], [[*RIGHT[:field], text, *RIGHT[field + 1 :]]])
    assert "pseudofeed:{m.0}:quote:ALFA" in str(caught.value)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 400
