"""How long a chunk is, for markets from a tick a day to a billion a second."""

from __future__ import annotations

import itertools

import pytest

from pseudofeed.store.chunks import CHUNK_ROWS, LADDER_SECONDS, chunk_length_us

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("instruments", "step_ns", "seconds"),
    [
        (100, SECOND_NS, 21_600),
        (1_000, SECOND_NS, 3_600),
        (100, 1_000, 0.01),
        (100, 86_400 * SECOND_NS, 86_400_000),  # never beyond the last rung
        (1, 3_600 * SECOND_NS, 86_400_000),
        (100_000, 1_000, 0.001),  # never below the first
        (8_000, SECOND_NS, 600),
    ],
)
def test_a_chunk_has_the_longest_length_that_keeps_it_small(instruments: int, step_ns: int, seconds: float) -> None:
    assert chunk_length_us(instruments, step_ns) == seconds * 1_000_000


def test_chunks_of_all_lengths_nest_and_hold_millions_of_rows() -> None:
    rungs = [round(seconds * 1_000_000) for seconds in LADDER_SECONDS]
    assert all(longer % shorter == 0 for shorter, longer in itertools.pairwise(rungs))
    for instruments in (7, 50, 100, 999, 10_000):
        length = chunk_length_us(instruments, SECOND_NS)
        assert CHUNK_ROWS / 10 < length / 1_000_000 * instruments <= CHUNK_ROWS
