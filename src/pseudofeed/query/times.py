"""Moments as users write them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

__all__ = ["Moment", "nanoseconds"]

Moment = str | datetime.datetime | pd.Timestamp | np.datetime64 | int


def nanoseconds(moment: Moment, name: str) -> int:
    """The moment as ns since the epoch, UTC. A text, datetime or Timestamp without a time zone is taken as UTC; an int
    is ns.

    Raises ValueError naming the argument `name` where it is no moment.
    """
    if isinstance(moment, int | np.integer) and not isinstance(moment, bool):
        return int(moment)
    if isinstance(moment, str | datetime.datetime | np.datetime64):
        try:
            stamp = pd.Timestamp(moment)
            stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        except (ValueError, OverflowError) as problem:
            raise ValueError(f"{name} is {moment!r}, which is no moment: {problem}") from None
        if pd.isna(stamp):
            raise ValueError(f"{name} is {moment!r}, which is no moment")
        return int(stamp.as_unit("ns").value)
    raise ValueError(
        f"{name} is a {type(moment).__name__}; it must be a text, a datetime, a Timestamp, or ns as an int"
    )
