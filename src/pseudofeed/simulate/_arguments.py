"""The checks of the array functions' arguments: a ValueError names the argument, the index and the allowed range."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def array(name: str, value: ArrayLike, shape: tuple[int, ...], *, low: float = -np.inf, high: float = np.inf) -> Floats:
    """`value` as a C-contiguous float64 array of `shape` (a scalar is broadcast to it), finite and within [low,
    high]."""
    try:
        given = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: not numbers ({error})") from None
    if given.ndim and given.shape != shape:
        raise ValueError(f"{name}: shape {given.shape}, expected {shape}" + (" or a scalar" if len(shape) == 1 else ""))
    bad = ~(np.isfinite(given) & (given >= low) & (given <= high))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"{name}[{', '.join(map(str, index))}]" if index else name
        allowed = "finite numbers" if low == -np.inf and high == np.inf else f"finite numbers in [{low:g}, {high:g}]"
        raise ValueError(f"{where} is {given[index]:g}; allowed are {allowed}")
    return np.ascontiguousarray(np.broadcast_to(given, shape), dtype=np.float64)


def check_labels(what: str, *arguments: tuple[str, object, int]) -> None:
    """Refuse pandas' Series and DataFrames that name the same things in another order: they would be paired by place.

    arguments: (name, value, axis). A default index, 0, 1, 2, ..., is no label, but beside another argument whose labels
    are numbers, too: sorted or filtered data have such. Raises ValueError.
    """
    pandas = sys.modules.get("pandas")  # without it there can be no Series
    if pandas is None:
        return
    indices = [
        (name, value, axis, value.axes[axis])
        for name, value, axis in arguments
        if isinstance(value, pandas.Series | pandas.DataFrame) and axis < value.ndim
    ]
    given = [one for one in indices if not _is_default(one[3])]
    if any(index.inferred_type in _NUMBERS for *_, index in given):
        given = indices
    for name, value, axis, index in given[1:]:
        labels, first = index.tolist(), given[0][3].tolist()
        if labels != first:
            place = f" (its {'index' if axis == 0 else 'columns'})" if value.ndim == 2 else ""
            raise ValueError(
                f"{name}{place}: labels of the {what} are {_some(labels)}, but those of {given[0][0]} are "
                f"{_some(first)}; give both in one order, e.g. by reindex, or give arrays"
            )


_NUMBERS = ("integer", "floating", "mixed-integer-float")  # as pandas names an index's kind of labels


def _is_default(index: Any) -> bool:
    return index.inferred_type == "integer" and bool((index == np.arange(len(index))).all())


def _some(labels: list[object]) -> str:
    return ", ".join(map(str, labels[:5])) + (", ..." if len(labels) > 5 else "")


def integer(name: str, value: int, *, low: int, high: int = 2**63 - 1) -> int:
    """`value` as an int within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; allowed are integers in [{low}, {high}]")
    return int(value)


def year_fraction(dt: float) -> float:
    """`dt`, the length of a step in years: positive and finite."""
    if not (isinstance(dt, (int, float, np.floating, np.integer)) and 0 < dt < np.inf):
        raise ValueError(f"dt is {dt!r}; allowed are positive numbers of years")
    return float(dt)


def thread_count(threads: int | None) -> int:
    """`threads`, or where it is None the number of cores that this process may use."""
    if threads is not None:
        return integer("threads", threads, low=1, high=1024)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outputs(given: tuple[Floats, Floats] | None, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The caller's `out` where there is one (two writable C-contiguous float64 arrays of `shape`), else new ones."""
    if given is None:
        try:
            return np.empty(shape), np.empty(shape)
        except (MemoryError, ValueError):
            raise ValueError(f"out: 2 x {' x '.join(map(str, shape))} numbers do not fit in memory") from None
    if len(given) != 2:
        raise ValueError(f"out: {len(given)} arrays, expected two")
    for number, one in enumerate(given):
        fits = isinstance(one, np.ndarray) and one.dtype == np.float64 and one.shape == shape
        if not (fits and one.flags.c_contiguous and one.flags.writeable):
            raise ValueError(f"out[{number}]: must be a writable C-contiguous float64 array of shape {shape}")
    if np.may_share_memory(*given):
        raise ValueError("out: the two arrays share memory")
    return given[0], given[1]
