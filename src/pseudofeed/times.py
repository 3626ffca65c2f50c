"""Times and lengths of time as users write them, to int64 nanoseconds since 1970-01-01T00:00:00Z and back.

`parse_time` and `parse_step` are strict: they read market files, where a time must state its offset from UTC. datetime
stops at microseconds, so the fraction of a second is read and written here. `nanoseconds` and `bar_length` are lenient:
they take what a query may be asked with, also pandas' and NumPy's own types. Only they load pandas.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EXAMPLE_STEP",
    "EXAMPLE_TIME",
    "FIRST_NS",
    "LAST_NS",
    "Every",
    "Moment",
    "bar_length",
    "format_step",
    "format_time",
    "nanoseconds",
    "parse_step",
    "parse_time",
    "to_datetime",
]

LAST_NS = 2**63 - 1  # 2262-04-11T23:47:16.854775807Z
FIRST_NS = -LAST_NS
EXAMPLE_TIME = "2026-03-02T14:30:00Z"
EXAMPLE_STEP = "1s"

# Text, because pandas is imported only where it is used.
Moment: TypeAlias = "str | datetime | pd.Timestamp | np.datetime64 | int"
Every: TypeAlias = "str | timedelta"

_UNITS_NS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "min": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_LONGEST_STEP_NS = 366 * _UNITS_NS["d"]
_STEP = re.compile(r"(?P<number>[0-9]{1,19})(?P<unit>ns|us|ms|s|min|h|d)")
_TIME = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_BELOW_MICROSECONDS = re.compile(r"\.\d{6}(\d+)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_step(text: str) -> int:
    """Nanoseconds of "1s", "100ms", "5min" and the like. Raises ValueError, which says why, for anything else."""
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError("it is not a whole number followed by ns, us, ms, s, min, h or d")
    step_ns = int(match["number"]) * _UNITS_NS[match["unit"]]
    if not 0 < step_ns <= _LONGEST_STEP_NS:
        raise ValueError("a step is at least 1ns and at most 366d")
    return step_ns


def format_step(step_ns: int) -> str:
    """The step in the largest unit that it is a whole number of: 60 s are "1min"."""
    unit, unit_ns = next((unit, size) for unit, size in _UNITS_NS.items() if step_ns % size == 0)
    return f"{step_ns // unit_ns}{unit}"


def parse_time(time: str | datetime) -> int:
    """Nanoseconds since 1970. Raises ValueError, which says why, without an offset from UTC or before 1970."""
    fraction_ns = 0
    if isinstance(time, str):
        match = _TIME.fullmatch(time.strip())
        if match is None:
            raise ValueError("it is not a date and time of ISO 8601")
        fraction_ns = int((match["fraction"] or "").ljust(9, "0"))
        try:
            moment = datetime.fromisoformat(match["second"] + (match["offset"] or "").upper())
        except ValueError:
            raise ValueError("there is no such date or time of day") from None
    else:
        moment = time
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("it has no offset from UTC (append Z for UTC)")
    whole = moment - _EPOCH
    time_ns = whole // timedelta(microseconds=1) * 1000 + fraction_ns
    if not 0 <= time_ns <= LAST_NS:
        raise ValueError("it lies outside 1970-01-01 to 2262-04-11, the range of 64-bit nanoseconds")
    return time_ns


def format_time(time_ns: int) -> str:
    """ISO 8601 in UTC, with as many digits of the second as it needs: 2026-03-02T14:30:00.5Z."""
    seconds, fraction_ns = divmod(time_ns, 1_000_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction_ns:09d}".rstrip("0").rstrip(".") + "Z" if fraction_ns else f"{text}Z"


def to_datetime(time_ns: int) -> datetime:
    """The time in UTC, cut to whole microseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1_000)


def nanoseconds(moment: Moment, name: str) -> int:
    """The moment as ns since 1970, UTC. A text, datetime or Timestamp without a time zone is taken as UTC; an int
    is ns.

    A moment beyond 64 bits is the end of time, or its beginning. Raises ValueError naming the argument `name` where it
    is no moment.
    """
    import pandas as pd

    if isinstance(moment, int | np.integer) and not isinstance(moment, bool):
        return min(max(int(moment), FIRST_NS), LAST_NS)
    if isinstance(moment, str | datetime | np.datetime64):
        try:
            stamp, below_ns = _stamp(moment)
            stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        except (ValueError, OverflowError) as problem:
            raise ValueError(f"{name} is {moment!r}, which is not a time: {problem}") from None
        if pd.isna(stamp):
            raise ValueError(f"{name} is {moment!r}, which is not a time")
        try:
            return min(int(stamp.as_unit("ns").value) + below_ns, LAST_NS)
        except pd.errors.OutOfBoundsDatetime:  # beyond all ticks: the end of time, or its beginning
            return LAST_NS if stamp.year > 1970 else FIRST_NS
    raise ValueError(
        f"{name} is a {type(moment).__name__}; it must be a text, a datetime, a Timestamp, or ns as an int"
    )


def _stamp(moment: str | datetime | np.datetime64) -> tuple[pd.Timestamp, int]:
    """The moment, and the ns that are to be added to it. Raises as pandas does."""
    import pandas as pd

    try:
        return pd.Timestamp(moment), 0
    except pd.errors.OutOfBoundsDatetime:
        if isinstance(moment, np.datetime64):  # beyond even the seconds of 64 bits
            return pd.Timestamp(datetime.max if moment.astype(np.int64) > 0 else datetime.min), 0
        # A text with more than six digits is read as ns, though the moment, or its local time, may lie beyond 64 bits.
        digits = _BELOW_MICROSECONDS.search(moment) if isinstance(moment, str) else None
        if digits is None or not isinstance(moment, str):
            raise
        shorter = moment[: digits.start(1)] + moment[digits.end(1) :]
        return pd.Timestamp(shorter), int(digits[1][:3].ljust(3, "0"))


def bar_length(every: Every) -> int:
    """The length of a bar in ns, a whole number of microseconds. Raises ValueError naming `every`."""
    if isinstance(every, timedelta):
        import pandas as pd

        length = int(pd.Timedelta(every).as_unit("ns").value)
    else:
        try:
            length = parse_step(every)
        except (ValueError, TypeError) as problem:
            raise ValueError(f"every is {every!r}, which is not a length of a bar: {problem}") from None
    if length < 1000 or length % 1000:
        raise ValueError(f"every is {every!r}; it must be at least a microsecond and a whole number of them")
    return length
