"""Times and steps as text: int64 nanoseconds since 1970-01-01T00:00:00Z to ISO 8601 and back, and "100ms" and the like.

datetime stops at microseconds, so the fraction of a second is read and written here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = [
    "EXAMPLE_STEP",
    "EXAMPLE_TIME",
    "LAST_NS",
    "format_step",
    "format_time",
    "parse_step",
    "parse_time",
    "to_datetime",
]

LAST_NS = 2**63 - 1  # 2262-04-11T23:47:16.854775807Z
EXAMPLE_TIME = "2026-03-02T14:30:00Z"
EXAMPLE_STEP = "1s"

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
