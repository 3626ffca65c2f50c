"""Moments as users write them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from pseudofeed.times import LAST_NS, parse_step

__all__ = ["Every", "Moment", "bar_length", "nanoseconds"]

FIRST_NS = -LAST_NS

Moment = str | datetime.datetime | pd.Timestamp | np.datetime64 | int
Every = str | datetime.timedelta


def nanoseconds(moment: Moment, name: str) -> int:
    """The moment as ns since 1970, UTC. A text, datetime or Timestamp without a time zone is taken as UTC; an int
    is ns.

    A moment beyond 64 bits is the end of time, or its beginning. Raises ValueError naming the argument `name` where it
    is no moment.
    """
    if isinstance(moment, int | np.integer) and not isinstance(moment, bool):
        return min(max(int(moment), FIRST_NS), LAST_NS)
    if isinstance(moment, str | datetime.datetime | np.datetime64):
        try:
            stamp = pd.Timestamp(moment)
            stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        except (ValueError, OverflowError) as problem:
            raise ValueError(f"{name} is {moment!r}, which is no moment: {problem}") from None
        if pd.isna(stamp):
            raise ValueError(f"{name} is {moment!r}, which is no moment")
        try:
            return int(stamp.as_unit("ns").value)
        except pd.errors.OutOfBoundsDatetime:  # beyond all ticks: the end of time, or its beginning
            return LAST_NS if stamp.year > 1970 else FIRST_NS
    raise ValueError(
        f"{name} is a {type(moment).__name__}; it must be a text, a datetime, a Timestamp, or ns as an int"
    )


def bar_length(every: Every) -> int:
    """The length of a bar in ns, a whole number of microseconds. Raises ValueError naming `every`."""
    if isinstance(every, datetime.timedelta):
        length = int(pd.Timedelta(every).as_unit("ns").value)
    else:
        try:
            length = parse_step(every)
        except (ValueError, TypeError) as problem:
            raise ValueError(f"every is {every!r}, which is no length of a bar: {problem}") from None
    if length < 1000 or length % 1000:
        raise ValueError(f"every is {every!r}; it must be at least a microsecond and a whole number of them")
    return length
