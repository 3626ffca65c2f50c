"""Sets of steps as ranges."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranges", "intersect", "merge", "outside", "subtract"]

Ranges = list[tuple[int, int]]
"""Ascending ranges of steps, first to last, that neither overlap nor touch."""


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same steps, as Ranges; ranges that end before they begin are empty."""
    merged: Ranges = []
    for first, last in sorted(ranges):
        if first > last:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def subtract(ranges: Ranges, taken: Ranges) -> Ranges:
    """The steps of `ranges` that are not in `taken`."""
    left = list(ranges)
    for gone_first, gone_last in taken:
        left = [
            part
            for first, last in left
            for part in ((first, min(last, gone_first - 1)), (max(first, gone_last + 1), last))
            if part[0] <= part[1]
        ]
    return merge(left)


def intersect(ranges: Ranges, first: int, last: int) -> Ranges:
    """The steps of `ranges` from first to last."""
    return merge((max(begin, first), min(end, last)) for begin, end in ranges)


def outside(steps: NDArray[np.int64], ranges: Ranges) -> NDArray[np.bool_]:
    """Which of the steps are in none of the ranges, bool of the same shape."""
    free = np.ones(steps.shape, np.bool_)
    for first, last in ranges:
        free &= (steps < first) | (steps > last)
    return free
