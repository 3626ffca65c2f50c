"""The comparison of ticks with the simulation, damaged on purpose, against a dictionary that counts slowly."""

from __future__ import annotations

import random
import struct
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.market import Market
from pseudofeed.records import TICK, Columns
from pseudofeed.verify import compare
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import StageTally

N, STEPS = 6, 24
MARKET = Market.sample(instruments=N, factors=2, seed=3, name="unit", start="2026-03-02T14:30:00Z")
(BLOCK,) = MARKET.stream(steps=STEPS + 3, block_steps=STEPS + 3)


@dataclass(frozen=True)
class Row:
    time: int
    sequence: int
    instrument: int
    price: float
    variance: float

    @property
    def bits(self) -> bytes:
        return struct.pack("<qdd", self.time, self.price, self.variance)


def true_row(step: int, instrument: int) -> Row:
    j = step - 1
    return Row(
        int(BLOCK.time[j]), step, instrument, float(BLOCK.prices[j, instrument]), float(BLOCK.variances[j, instrument])
    )


def flipped(row: Row, field: int, bit: int) -> Row:
    bits = bytearray(row.bits)
    bits[8 * field + bit // 8] ^= 1 << bit % 8
    time, price, variance = struct.unpack("<qdd", bits)
    return replace(row, time=time, price=price, variance=variance)


def columns(rows: list[Row]) -> Columns:
    return Columns(
        TICK,
        np.array([row.time for row in rows], np.int64),
        np.array([row.sequence for row in rows], np.int64),
        np.array([row.instrument for row in rows], np.int32),
        np.array([row.price for row in rows], np.float64),
        np.array([row.variance for row in rows], np.float64),
    )


def oracle(
    rows: list[Row], members: list[int], first_step: int
) -> tuple[dict[str, int], dict[tuple[str, int | None, int], set[bytes]]]:
    """The counts, and the bits that were found for each (kind, step, instrument) that differs."""
    expected = {(step, i): true_row(step, i).bits for step in range(first_step, STEPS + 1) for i in members}
    seen: Counter[tuple[int, int]] = Counter()
    counts = Counter({"ticks": len(rows), "expected": len(expected)})
    found: dict[tuple[str, int | None, int], set[bytes]] = {}

    def differs(kind: str, row: Row) -> None:
        counts[kind] += 1
        found.setdefault((kind, row.sequence if row.sequence >= 0 else None, row.instrument), set()).add(row.bits)

    for row in rows:
        key = (row.sequence, row.instrument)
        if key not in expected:
            differs("unexpected", row)
            continue
        seen[key] += 1
        if row.bits != expected[key]:
            differs("altered", row)
    for row in rows:
        if seen[row.sequence, row.instrument] > 1:
            found.setdefault(("repeated", row.sequence, row.instrument), set()).add(row.bits)
    counts["repeated"] = sum(count - 1 for count in seen.values())
    for step, i in expected.keys() - seen.keys():
        counts["missing"] += 1
        found["missing", step, i] = set()
    return dict(counts), found


places = st.integers(0, 10_000)
numbers = st.sampled_from([-(2**31), -1, *range(N), N, 2**31 - 1])
sequences = st.sampled_from([-1, 0, 1, STEPS, STEPS + 1, STEPS + 2, 2**62])
damages = st.one_of(
    st.tuples(st.just("drop"), places),
    st.tuples(st.just("repeat"), places),
    st.tuples(st.just("flip"), places, st.integers(0, 2), st.integers(0, 63)),
    st.tuples(st.just("instrument"), places, numbers),
    st.tuples(st.just("sequence"), places, sequences),
    st.tuples(
        st.just("extra"),
        places,
        st.one_of(numbers.map(lambda i: {"instrument": i}), sequences.map(lambda n: {"sequence": n})),
    ),
)


def damaged(rows: list[Row], what: list[tuple[Any, ...]]) -> list[Row]:
    rows = list(rows)
    for kind, place, *values in what:
        if not rows:
            break
        at = place % len(rows)
        if kind == "drop":
            del rows[at]
        elif kind == "repeat":
            rows.insert(at, rows[at])
        elif kind == "extra":
            rows.insert(at, replace(rows[at], **values[0]))
        elif kind == "flip":
            rows[at] = flipped(rows[at], *values)
        else:
            rows[at] = replace(rows[at], **{kind: values[0]})
    return rows


@settings(max_examples=200)
@given(
    what=st.lists(damages, max_size=10),
    members=st.sets(st.integers(0, N - 1), min_size=1).map(sorted),
    first_step=st.sampled_from([1, 2, 9]),
    window_steps=st.sampled_from([1, 2, 7, STEPS + 1]),
    chunk=st.sampled_from([5, 40, 1_000]),
    shuffle=st.integers(0, 2**32).map(random.Random),
)
def test_counts_and_the_first_difference_are_those_of_a_slow_dictionary(
    what: list[tuple[Any, ...]],
    members: list[int],
    first_step: int,
    window_steps: int,
    chunk: int,
    shuffle: random.Random,
) -> None:
    rows = [true_row(step, i) for step in range(first_step, STEPS + 1) for i in members]
    rows = damaged(rows, what)
    # Out of order by up to a window's steps, so across a window's edge.
    rows.sort(key=lambda row: row.sequence + shuffle.uniform(0, window_steps))
    tally = StageTally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "_WINDOW_TICKS", window_steps * len(members))
        comparison = Comparison(
            MARKET, np.array(members), stage="unit", tally=tally, first_step=first_step, last_step=STEPS
        )
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            comparison.add(columns(part), lambda index, part=part: f"row {part[index]}")  # type: ignore[misc]
        comparison.finish()
    counts, differences = oracle(rows, members, first_step)
    for name in ("ticks", "expected", "missing", "repeated", "altered", "unexpected"):
        assert getattr(tally, name) == counts.get(name, 0), name
    assert tally.equal == (not differences)

    first = tally.first_difference
    if not differences:
        assert first is None
        return
    assert first is not None
    smallest = (
        min(step for _, step, _ in differences if step is not None)
        if any(step is not None for _, step, _ in differences)
        else None
    )
    assert (first.stage, first.market, first.step) == ("unit", "unit", smallest)
    numbers = [i for kind, step, i in differences if (kind, step) == (first.kind, first.step)]
    names = {(MARKET.symbols[i] if 0 <= i < N else f"number {i}"): i for i in numbers}
    assert first.symbol in names
    if first.kind == "missing":
        assert first.found == "nothing"
    else:
        found = differences[first.kind, first.step, names[first.symbol]]
        values = [struct.unpack("<qdd", bits) for bits in found]
        assert any(first.found.endswith(f"Z price {price!r} variance {variance!r}") for _, price, variance in values)
        assert first.where.startswith("row Row(")
    if first.kind in ("missing", "altered") and first.step is not None:
        row = true_row(first.step, names[first.symbol])
        assert first.expected == f"{np.datetime64(row.time, 'ns')}Z price {row.price!r} variance {row.variance!r}"


def test_a_row_behind_its_closed_window_is_a_repeated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "_WINDOW_TICKS", N)
    tally = StageTally()
    comparison = Comparison(MARKET, np.arange(N), stage="unit", tally=tally, last_step=STEPS)
    for step in [*range(1, 10), 2, *range(10, STEPS + 1)]:
        comparison.add(columns([true_row(step, i) for i in range(N)]), str)
    comparison.finish()
    assert (tally.missing, tally.repeated, tally.altered, tally.unexpected) == (0, N, 0, 0)
    assert tally.first_difference is not None
    assert (tally.first_difference.kind, tally.first_difference.step) == ("repeated", 2)


def test_a_partition_without_instruments_expects_nothing() -> None:
    tally = StageTally()
    comparison = Comparison(MARKET, np.array([], np.int64), stage="unit", tally=tally, last_step=STEPS)
    comparison.add(columns([true_row(1, 0)]), str)
    comparison.finish()
    assert (tally.ticks, tally.expected, tally.missing, tally.unexpected) == (1, 0, 0, 1)


def test_windows_that_a_reader_opens_are_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long market has memory for some windows only, also where the reader asks for range after range."""
    monkeypatch.setattr(compare, "_WINDOW_TICKS", N)
    tally = StageTally()
    comparison = Comparison(MARKET, np.arange(N), stage="unit", tally=tally, last_step=STEPS)
    while (block := comparison.window()) is not None:
        comparison.add(columns([true_row(block.first_step, i) for i in range(1, N)]), str)
        assert len(comparison._windows) <= 2
    comparison.finish()
    assert (tally.missing, tally.repeated, tally.altered, tally.unexpected) == (STEPS, 0, 0, 0)
