"""The order of a partition's ticks, and every way in which it can be broken."""

from __future__ import annotations

import numpy as np
import pytest

from pseudofeed.consume import Batch, Unreadable
from pseudofeed.records import TICK, Columns
from pseudofeed.store.order import DenseOrder

PARTITIONS = np.array([1, 0, 1, 1], np.int32)  # partition 1 has the instruments 0, 2 and 3; partition 2 none


def batch(*ticks: tuple[int, int], bad_before: int | None = None) -> Batch:
    """Ticks (step, instrument) of partition 1."""
    steps, numbers = np.array(ticks, np.int64).reshape(-1, 2).T
    count = len(steps)
    columns = Columns(TICK, steps * 1_000_000, steps.copy(), numbers.astype(np.int32), np.ones(count), np.ones(count))
    unreadable = () if bad_before is None else (Unreadable(7, b"", "damaged", bad_before, False),)
    return Batch(1, 0, 10, columns, unreadable)


def order(sequence: int | None = 4, number: int | None = 0, *, may_skip: bool = False) -> DenseOrder:
    made = DenseOrder(PARTITIONS, 3)
    made.begin(1, sequence, number, may_skip=may_skip)
    return made


def test_ticks_go_on_where_the_store_is_also_in_the_middle_of_a_step() -> None:
    assert order().problem(batch((4, 2), (4, 3), (5, 0), (5, 2), (5, 3), (6, 0))) is None
    assert order(0, None).problem(batch((1, 0), (1, 2))) is None
    assert order(None, None).problem(batch((9, 2), (9, 3))) is None
    assert order().problem(batch()) is None


@pytest.mark.parametrize(
    ("ticks", "problem"),
    [
        ([(4, 0)], "expected step 4 of instrument 2, found step 4 of instrument 0"),
        ([(4, 3)], "expected step 4 of instrument 2, found step 4 of instrument 3"),
        ([(4, 2), (4, 3), (6, 0)], "expected step 5 of instrument 0, found step 6 of instrument 0"),
        ([(4, 2), (4, 2)], "expected step 4 of instrument 3, found step 4 of instrument 2"),
        ([(4, 1)], "instrument 1 is there, which belongs into partition 0"),
        ([(4, 4)], "instrument 4 is there, the market has 4"),
    ],
)
def test_every_other_tick_is_named(ticks: list[tuple[int, int]], problem: str) -> None:
    assert order().problem(batch(*ticks)) == problem


def test_behind_an_unreadable_message_ticks_may_be_missing_but_not_repeated() -> None:
    assert order().problem(batch((4, 2), (7, 0), bad_before=1)) is None
    assert order().problem(batch((4, 2), (4, 0), bad_before=1)) is not None
    assert order().problem(batch((7, 0), (7, 2), (8, 0), bad_before=0)) is not None
    skipping = order(may_skip=True)
    assert skipping.problem(batch((9, 3))) is None
    skipping.take(batch((9, 3)))
    assert skipping.problem(batch((10, 2))) == "expected step 10 of instrument 0, found step 10 of instrument 2"
    ending = batch((4, 2), bad_before=1)
    assert order().may_skip_after(ending)
    assert not order().may_skip_after(batch((4, 2), bad_before=0))
