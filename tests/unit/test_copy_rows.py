"""COPY rows against a slow encoder: any batch, any order of its ticks; and ticks that the store can't take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.encode import encode_copy_rows
from pseudofeed.records import TICK, Columns
from reference.pgcopy import Tick, encode_rows

# From 1677 to 2262: all of int64 nanoseconds, in whole microseconds.
times = st.integers(-(2**63) // 1000 + 1, 2**63 // 1000 - 1).map(lambda microseconds: microseconds * 1000)
ticks = st.tuples(times, st.integers(0, 4), st.floats(), st.floats())
ids = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=5, max_size=5)


def columns(batch: list[Tick]) -> Columns:
    return Columns(
        TICK,
        np.array([tick[0] for tick in batch], np.int64),
        np.arange(len(batch)),
        np.array([tick[1] for tick in batch], np.int32),
        np.array([tick[2] for tick in batch], np.float64),
        np.array([tick[3] for tick in batch], np.float64),
    )


@given(st.lists(ticks, max_size=40), ids)
def test_any_batch_equals_the_reference(batch: list[Tick], instrument_ids: list[int]) -> None:
    assert encode_copy_rows(columns(batch), np.array(instrument_ids)) == encode_rows(batch, instrument_ids)


def test_parts_of_several_partitions_are_sorted_together() -> None:
    first = [(1000, 0, 1.0, 0.1), (1000, 2, 2.0, 0.2), (2000, 0, 3.0, 0.3), (2000, 2, 4.0, 0.4)]
    second = [(1000, 1, 5.0, 0.5), (2000, 1, 6.0, 0.6)]
    rows = encode_copy_rows(Columns.concatenate(TICK, [columns(first), columns(second)]), np.array([7, 8, 9]))
    by_instrument_and_time = [first[0], first[2], second[0], second[1], first[1], first[3]]
    assert rows == encode_rows(by_instrument_and_time, [7, 8, 9])
    assert encode_copy_rows(Columns.concatenate(TICK, []), np.array([7])) == encode_rows([], [7])


@pytest.mark.parametrize(
    ("tick", "text"),
    [
        ((2000, 2, 1.0, 0.1), r"row 1 is of number 2, the store knows the numbers 0 \.\. 1"),
        ((2000, -1, 1.0, 0.1), "row 1 is of number -1"),
        ((2001, 1, 1.0, 0.1), r"row 1 \(of number 1\) is at 2001 ns, not a whole microsecond"),
        ((-1, 1, 1.0, 0.1), "is at -1 ns"),
    ],
)
def test_a_tick_that_the_store_cannot_take_is_named(tick: Tick, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        encode_copy_rows(columns([(1000, 0, 1.0, 0.1), tick]), np.array([7, 8]))


def test_columns_of_different_lengths_are_refused() -> None:
    good = columns([(1000, 0, 1.0, 0.1), (2000, 0, 1.0, 0.1)])
    with pytest.raises(ValueError, match="'price': 1"):
        Columns(TICK, good.time, good.sequence, good.number, good["price"][:1], good["variance"])
