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
        ("2262-04-11T23:47:16.854775807Z", LAST_NS),
        ("2262-04-11T23:47:16.854775806Z", LAST_NS - 1),
        ("2262-04-11T23:47:16.854775808Z", LAST_NS),
        ("2262-04-12T04:47:16.854775806+05:00", LAST_NS - 1),
        ("9999-12-31T23:59:59.999999999Z", LAST_NS),
        ("0001-01-01T00:00:00.0000000001", FIRST_NS),
        ("1677-09-21T00:12:43.145224191Z", FIRST_NS),
        ("1677-09-21T00:12:43.1452241935Z", FIRST_NS),
        ("1677-09-21T00:12:43.145224194Z", FIRST_NS + 1),
        (np.datetime64(9 * 10**18, "D"), LAST_NS),
        (np.datetime64(-9 * 10**18, "D"), FIRST_NS),
    ],
)
def test_a_moment_beyond_64_bits_is_the_end_of_time(moment: Moment, time_ns: int) -> None:
    assert nanoseconds(moment, "end") == time_ns


@pytest.mark.parametrize("moment", ["soon", True, 1.5, None, pd.NaT])
def test_what_is_no_moment_is_named(moment: object) -> None:
    with pytest.raises(ValueError, match="end is"):
        nanoseconds(moment, "end")  # type: ignore[arg-type]
