"""Moments as users write them, to both ends of time."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from pseudofeed.times import FIRST_NS, LAST_NS, Moment, nanoseconds


@pytest.mark.parametrize(
    ("moment", "time_ns"),
    [
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T02:00:01+0200", 10**9),
        (datetime.datetime(1970, 1, 1, 0, 0, 1), 10**9),
        (np.datetime64(1, "s"), 10**9),
        (np.int64(5), 5),
        ("9999-12-31", LAST_NS),
        (datetime.datetime.max, LAST_NS),
        (pd.Timestamp("2500-01-01", tz="UTC"), LAST_NS),
        (2**70, LAST_NS),
        ("0001-01-01", FIRST_NS),
    ],
)
def test_a_moment_beyond_64_bits_is_the_end_of_time(moment: Moment, time_ns: int) -> None:
    assert nanoseconds(moment, "end") == time_ns


@pytest.mark.parametrize("moment", ["soon", True, 1.5, None, pd.NaT])
def test_what_is_no_moment_is_named(moment: object) -> None:
    with pytest.raises(ValueError, match="end is"):
        nanoseconds(moment, "end")  # type: ignore[arg-type]
