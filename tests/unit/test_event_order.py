"""What may come next in a partition of events: by the spans of its blocks, also where nothing happened."""

from __future__ import annotations

import numpy as np
import pytest

from probe_kind import PROBE
from pseudofeed.consume import Batch, Unreadable
from pseudofeed.records import Columns
from pseudofeed.store.order import EventOrder, Reached

PARTITIONS = np.array([1, 0, 1], np.int32)  # partition 1 has the instruments 0 and 2

Span = tuple[int, int, int, int, list[int]]
"""First and last step, first event, more, and the step of each event."""


def batch(*spans: Span, bad_before: tuple[int, ...] = (), number: int = 0) -> Batch:
    steps = np.array([step for *_, own in spans for step in own], np.int64)
    zeros = np.zeros(len(steps), np.int64)
    columns = Columns(
        PROBE, steps, steps, zeros.astype(np.int32) + number, zeros.astype(np.uint16),
        *(zeros.astype(field.type.numpy) for field in PROBE.fields),
        spans=np.array([(*head, len(own)) for *head, own in spans], np.int64).reshape(-1, 5),
    )  # fmt: skip
    bad = tuple(Unreadable(k, b"?", "damaged", before, False) for k, before in enumerate(bad_before))
    return Batch(1, 0, len(spans) + len(bad), columns, bad)


def order(last: int | None = 4, number: int | None = None, *, may_skip: bool = False) -> EventOrder:
    made = EventOrder(PARTITIONS, 2)
    made.begin(1, last, number, may_skip=may_skip)
    return made


def test_blocks_that_follow_on_from_each_other_are_taken() -> None:
    made = order()
    first = batch((5, 6, 0, 1, [5, 6, 6]), (6, 6, 2, 1, [6, 6]), (6, 9, 4, 0, [6]), (10, 10, 0, 0, []))
    assert made.problem(first) is None
    assert made.reached(first) == Reached(5, 10, None)
    made.take(first)
    second = batch((11, 12, 0, 1, [12, 12, 12]))
    assert made.problem(second) is None
    assert made.reached(second) == Reached(11, 12, 3)
    made.take(second)
    assert made.problem(batch((12, 13, 3, 0, [12]))) is None
    assert made.problem(batch((12, 13, 2, 0, [12]))) == (
        "expected step 12 from event 3 on, found step 12 from event 2 on"
    )
    assert order(12, 3).problem(batch((12, 13, 3, 0, [12]))) is None


@pytest.mark.parametrize(
    ("spans", "text"),
    [
        ([(6, 7, 0, 0, [6])], "expected step 5 from event 0 on, found step 6 from event 0 on"),
        ([(4, 7, 0, 0, [6])], "expected step 5 from event 0 on, found step 4"),
        ([(5, 5, 1, 0, [5])], "expected step 5 from event 0 on, found step 5 from event 1 on"),
        ([(5, 7, 0, 0, [6]), (9, 9, 0, 0, [])], "expected step 8 from event 0 on, found step 9"),
        ([(5, 7, 0, 1, [7]), (8, 8, 0, 0, [])], "expected step 7 from event 1 on, found step 8"),
        ([(5, 7, 0, 0, [6]), (5, 7, 0, 0, [6])], "expected step 8 from event 0 on, found step 5"),
    ],
)
def test_a_gap_and_a_repetition_are_named(spans: list[Span], text: str) -> None:
    problem = order().problem(batch(*spans))
    assert problem is not None
    assert problem.startswith(text)


def test_events_of_another_partition_are_named() -> None:
    event: Span = (5, 5, 0, 0, [5])
    assert order().problem(batch(event, number=1)) == "instrument 1 is there, which belongs into partition 0"
    assert order().problem(batch(event, number=3)) == "instrument 3 is there, the market has 3"


def test_behind_what_could_not_be_read_steps_may_be_skipped_and_none_come_again() -> None:
    for skipped in (
        batch((9, 9, 3, 0, [9]), bad_before=(0,)),
        batch((5, 5, 0, 0, [5]), (9, 9, 0, 0, []), bad_before=(1,)),
    ):
        assert order().problem(skipped) is None
    assert order(may_skip=True).problem(batch((9, 9, 3, 0, [9]))) is None
    assert order(may_skip=True).problem(batch((4, 9, 0, 0, [9]))) is not None
    assert order().problem(batch((5, 5, 0, 0, [5]), (9, 9, 0, 0, []), bad_before=(0,))) is not None
    assert order().may_skip_after(batch((5, 5, 0, 0, [5]), bad_before=(1,)))
    assert not order().may_skip_after(batch((5, 5, 0, 0, [5]), bad_before=(0,)))
    assert order().may_skip_after(batch(bad_before=(0,)))


def test_a_topic_that_has_lost_its_beginning_may_begin_anywhere() -> None:
    made = order(None)
    assert made.is_at_the_beginning(1)
    assert made.problem(batch((70, 71, 5, 0, [70]))) is None
    assert order(0).problem(batch((1, 1, 0, 0, []))) is None
    assert order(0).problem(batch((2, 2, 0, 0, []))) is not None
