"""The bar block against a codec that knows the schema alone."""

from __future__ import annotations

import re
import struct
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import neighbours
from pseudofeed.encode import (
    BarBlockHeader,
    BarColumns,
    bar_block_size,
    decode_bar_blocks,
    encode_bar_block_into,
    peek_bar_block,
)
from pseudofeed.errors import MalformedMessage
from reference import sbe

HEADER = {"fingerprint": 0xFEDCBA9876543210, "partition": 3, "sequence": 120}
MINUTE = 60 * 10**9
PRICES = ("open", "high", "low", "close")


def bars_of(rows: list[dict[str, Any]], *, length: int = MINUTE, final: bool = True) -> BarColumns:
    """length and final are those of all bars."""
    columns = BarColumns.empty(len(rows))
    for k, row in enumerate(rows):
        for name, value in row.items():
            getattr(columns, name)[k] = value
    columns.length[:], columns.final[:] = length, final
    return columns


@st.composite
def bars(draw: st.DrawFn) -> tuple[BarColumns, int]:
    """Bars, and the block's sequence; prices are any 64 bits."""
    length = draw(st.integers(1, 2**40))
    openings = st.tuples(st.integers(-(2**63), 2**63 - 1 - length), st.integers(0, 2**31 - 1))
    rows = []
    for opening_time, instrument in sorted(draw(st.lists(openings, min_size=1, max_size=5, unique=True))):
        first = draw(st.integers(1, 2**63 - 1))
        last = draw(st.integers(first, 2**63 - 1))
        patterns = draw(st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4))
        rows.append(
            {
                "opening_time": opening_time,
                "instrument": instrument,
                "ticks": draw(st.integers(1, min(last - first + 1, 2**32 - 1))),
                "first_sequence": first,
                "last_sequence": last,
                **dict(zip(PRICES, np.array(patterns, np.uint64).view(np.float64), strict=True)),
            }
        )
    newest = max(row["last_sequence"] for row in rows)
    return bars_of(rows, length=length, final=draw(st.booleans())), draw(st.integers(newest, 2**63 - 1))


def small() -> BarColumns:
    row = {"opening_time": 0, "ticks": 60, "first_sequence": 1, "last_sequence": 60}
    prices = {"open": 100.5, "high": np.inf, "low": -0.0, "close": np.nan}
    later = {"opening_time": MINUTE, "ticks": 1, "first_sequence": 61, "last_sequence": 120}
    return bars_of(
        [row | prices | {"instrument": 4}, row | prices | {"instrument": 7}, later | prices | {"instrument": 4}]
    )


def encoded(columns: BarColumns, **header: int) -> bytes:
    buffer = bytearray(bar_block_size(len(columns)))
    assert encode_bar_block_into(buffer, 0, columns, **HEADER | header) == len(buffer)
    return bytes(buffer)


def expected(columns: BarColumns, newer: bytes = b"", **header: int) -> bytes:
    names = {"opening_time": "openingTime", "first_sequence": "firstSequence", "last_sequence": "lastSequence"}
    names |= {name: f"{name}Price" for name in PRICES} | {"ticks": "ticks", "instrument": "number"}
    entries = [{there: getattr(columns, here)[k] for here, there in names.items()} for k in range(len(columns))]
    root = HEADER | header | {"length": columns.length[0], "isFinal": int(columns.final[0])}
    return sbe.encode("BarBlock", root, {"bars": entries}, newer=newer)


def decoded(*messages: bytes) -> BarColumns:
    return decode_bar_blocks(messages, fingerprint=HEADER["fingerprint"], partition=HEADER["partition"])


def same(found: BarColumns, columns: BarColumns, copies: int = 1) -> bool:
    """In every bit."""
    return all(
        getattr(found, field.name).tobytes() == getattr(columns, field.name).tobytes() * copies
        for field in fields(BarColumns)
    )


@given(bars())
def test_any_block_equals_the_reference_and_comes_back_bit_for_bit(drawn: tuple[BarColumns, int]) -> None:
    columns, sequence = drawn
    message = encoded(columns, sequence=sequence)
    assert message == expected(columns, sequence=sequence)
    assert same(decoded(message, message), columns, copies=2)
    assert peek_bar_block(message) == BarBlockHeader(
        HEADER["fingerprint"],
        sequence,
        HEADER["partition"],
        int(columns.length[0]),
        bool(columns.final[0]),
        len(columns),
    )


def test_a_newer_version_is_read_without_what_was_added() -> None:
    assert same(decoded(expected(small(), newer=b"added")), small())


def test_every_truncation_and_every_flipped_bit_is_an_error() -> None:
    for neighbour in neighbours(encoded(small())):
        with pytest.raises(MalformedMessage):
            decoded(neighbour)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (2, "<H", 3, "not a bar block: templateId is 3 at byte 2, expected 4"),
        (8, "<Q", 0xAB, "bar block of another market: fingerprint is 00000000000000ab"),
        (16, "<q", 0, "the sequence must be at least 1: sequence 0"),
        (16, "<q", 119, "sequences must be 1 <= first <= last <= the block's: bar 2 at byte 176"),
        (24, "<I", 4, "bar block of another partition: it says 4"),
        (32, "<q", 0, "the length must be at least 1 ns: sequence 120, length 0"),
        (40, "<I", 2, "isFinal is 2 at byte 40, expected 0 or 1"),
        (48, "<q", 2**63 - 1, "the end of the bar is beyond int64: bar 0 at byte 48"),
        (88, "<q", 0, "1 <= first <= last"),
        (88, "<q", 61, "1 <= first <= last"),
        (104, "<I", 0, "ticks must lie in 1 .. last sequence - first sequence + 1"),
        (104, "<I", 61, "ticks must lie in 1 .. last sequence - first sequence + 1"),
        (108, "<I", 7, "bars must ascend by opening time and instrument: bar 1"),
        (108, "<I", 2**31, "the instrument's number must lie in 0 .. 2^31 - 1: bar 0"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(encoded(small()))
    struct.pack_into(layout, message, at, value)
    with pytest.raises(MalformedMessage, match=re.escape(text)) as raised:
        decoded(encoded(small()), sbe.signed(bytes(message)))
    assert raised.value.index == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"length": np.full(3, 0)}, "the length must be at least 1 ns"),
        ({"length": np.array([1, 1, 2])}, "one length"),
        ({"final": np.array([True, True, False])}, "all final or all updates"),
        ({"instrument": np.array([4, 4, 4], np.int32)}, "bars must ascend"),
        ({"instrument": np.array([-1, 4, 4], np.int32)}, "number must lie in 0"),
        ({"ticks": np.array([61, 1, 1], np.uint32)}, "ticks must lie in"),
        ({"ticks": np.array([60, 1, 1], np.int64)}, "dtype mismatch"),
    ],
)
def test_wrong_input_is_refused_with_the_buffer_untouched(changes: dict[str, Any], text: str) -> None:
    buffer = bytearray(b"\xaa" * 300)
    with pytest.raises(ValueError, match=text):
        encode_bar_block_into(buffer, 0, replace(small(), **changes), **HEADER)
    assert buffer == b"\xaa" * 300


def test_a_block_has_room_for_1_to_65534_bars() -> None:
    with pytest.raises(ValueError, match="room for 100 bytes, the bar block needs 240"):
        encode_bar_block_into(bytearray(100), 0, small(), **HEADER)
    for bars in (0, 65535):
        with pytest.raises(ValueError, match=f"1 to 65534 bars, not {bars}"):
            bar_block_size(bars)
