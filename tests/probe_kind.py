"""A kind of record that only tests have: the whole of what a new event kind needs, its declaration and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from pseudofeed import records
from pseudofeed.records import Columns, Field, Key, Kind, RowTable, Shape
from pseudofeed.records.types import FLOAT64, INT8, UINT32, text
from pseudofeed.simulate.paths import TickBlock

__all__ = ["PROBE", "probing"]


def _probes(block: TickBlock, numbers: NDArray[np.int64]) -> Columns:
    """Of an instrument with number n in step s the last bits of its price say how many there are, 0 to 3."""
    steps = np.arange(block.first_step, block.last_step + 1)
    bits = block.prices.view(np.int64)
    count = np.where(steps[:, None] % 5 == 0, 0, bits & 3)  # in every fifth step nothing happens
    row, column = (np.repeat(index, count.ravel()) for index in np.indices(count.shape).reshape(2, -1))
    event = np.arange(len(row)) - np.repeat(np.cumsum(count) - count.ravel(), count.ravel())
    price = block.prices[row, column]
    return Columns(
        PROBE,
        block.time[row] - 1_000 + 333 * event,
        steps[row],
        numbers[column].astype(np.int32),
        event.astype(np.uint16),
        price * (1 + event / 8),
        (bits[row, column] & 0xFFFFFFFF).astype(np.uint32),
        np.where(event % 2, -1, 1).astype(np.int8),
        np.array([b"high", b"low"])[(price < 100).astype(int)].astype("S6"),
    )


PROBE = Kind(
    name="probe",
    topic="probes",
    key=Key.INSTRUMENT,
    shape=Shape.EVENTS,
    doc="What a test wants to know of an instrument",
    template=60,
    fields=(
        Field("level", FLOAT64, "A price", "in the market's currency"),
        Field("size", UINT32, "How much"),
        Field("side", INT8, "1 or -1"),
        Field("label", text(6), "A word"),
    ),
    table=RowTable("probe", "probe_history", "Every probe of every market", index_by_chunk=True),
    events=_probes,
)


@contextmanager
def probing() -> Iterator[None]:
    """All stages know the kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "KINDS", (*records.KINDS, PROBE))
        yield
