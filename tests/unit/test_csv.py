"""CSV rows: every double and every time reads back, and looks the same in the whole file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.encode._csv import csv_size_limit, encode_csv_into
from pseudofeed.times import format_time, parse_time

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def rows(times: list[int], decimals: int, first: list[float], second: list[float]) -> list[list[str]]:
    """The fields of the rows of one file."""
    buffer = bytearray(csv_size_limit(len(times), 1, 1))
    (end,) = encode_csv_into(
        buffer,
        times=np.array(times, np.int64),
        decimals=decimals,
        first=np.array(first).reshape(-1, 1),
        second=np.array(second).reshape(-1, 1),
        begin=0,
        files=1,
        columns=1,
    )
    return [line.split(",") for line in buffer[:end].decode().splitlines()]


def shortest(value: float) -> str:
    """The oracle: Python's own shortest text, with a decimal point also where there is an exponent."""
    digits, e, exponent = repr(value).partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}{e}{exponent}"


@given(DOUBLES, DOUBLES)
def test_numbers_are_the_shortest_and_have_a_point(first: float, second: float) -> None:
    ((_, *found),) = rows([0], 0, [first], [second])
    assert found == [shortest(first), shortest(second)]


def test_numbers_of_all_sizes() -> None:
    powers = [float(f"1e{exponent}") for exponent in range(-330, 308)]
    values = [*powers, *(9.875 * power for power in powers), *(-math.nextafter(power, 0) for power in powers)]
    found = rows([0] * len(values), 0, values, values)
    assert [fields[1:] for fields in found] == [[shortest(value)] * 2 for value in values]


@given(st.integers(0, 2**63 - 1), st.sampled_from([0, 3, 6, 9]))
def test_times_read_back(time_ns: int, decimals: int) -> None:
    time_ns -= time_ns % 10 ** (9 - decimals)
    (fields,) = rows([time_ns], decimals, [1.0], [1.0])
    assert parse_time(fields[0]) == time_ns
    assert len(fields[0]) == len("2026-03-02T14:30:00Z") + (decimals + 1 if decimals else 0)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 20))
def test_any_part_of_a_matrix(steps: int, width: int, begin: int) -> None:
    begin = min(begin, width - 1)
    first = np.random.default_rng(width).normal(size=(steps, width))
    second = first**2
    files = width - begin
    buffer = bytearray(csv_size_limit(steps, files, 1))
    times = np.arange(steps) * 10**9
    ends = encode_csv_into(
        buffer, times=times, decimals=0, first=first, second=second, begin=begin, files=files, columns=1
    )
    stamps = [format_time(int(time)) for time in times]
    texts = [
        [(shortest(float(a)), shortest(float(b))) for a, b in zip(*row, strict=True)]
        for row in zip(first, second, strict=True)
    ]
    expected = [
        "".join(f"{stamp},{row[i][0]},{row[i][1]}\n" for stamp, row in zip(stamps, texts, strict=True))
        for i in range(begin, width)
    ]
    found = [buffer[at:end].decode() for at, end in zip([0, *ends[:-1]], ends, strict=True)]
    assert found == expected


def test_what_does_not_fit_is_refused() -> None:
    times, values = np.array([0, 1]), np.ones((2, 3))
    fitting: dict[str, Any] = {"decimals": 9, "first": values, "second": values, "begin": 0, "files": 3, "columns": 1}
    buffer = bytearray(b"x" * csv_size_limit(2, 3, 1))
    changes: list[tuple[dict[str, Any], str]] = [
        ({"decimals": 0}, r"times\[1\] is 1 ns, which 0 decimals of a second do not show"),
        ({"begin": 1}, "3 files of 1 columns from 1 on: there are 3 columns"),
        ({"columns": 0}, "0 columns"),
        ({"decimals": 4}, "decimals is 4; allowed are 0, 3, 6 and 9"),
        ({"second": np.ones((2, 2))}, r"second \(2, 2\) don't fit each other"),
    ]
    for changed, message in changes:
        with pytest.raises(ValueError, match=message):
            encode_csv_into(buffer, times=times, **{**fitting, **changed})
    with pytest.raises(ValueError, match="the buffer has 5 bytes"):
        encode_csv_into(bytearray(5), times=times, **fitting)
    assert set(buffer) == {ord("x")}
