"""The factor block against a codec that knows the schema alone."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import neighbours
from pseudofeed.encode import (
    MessageHeader,
    decode_factor_blocks,
    encode_factor_block_into,
    factor_block_size,
    peek_factor_block,
)
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import Columns
from reference import sbe

FINGERPRINT, PARTITION = 0xFEDCBA9876543210, 0


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of encode_factor_block_into; any 64 bits as a value."""
    steps, factors = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    size = steps * factors
    patterns = draw(st.lists(st.integers(0, 2**64 - 1), min_size=2 * size, max_size=2 * size))
    values = np.array(patterns, np.uint64).view(np.float64).reshape(2, steps, factors)
    times = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=steps, max_size=steps, unique=True))
    return {
        "fingerprint": draw(st.integers(0, 2**64 - 1)),
        "partition": draw(st.integers(0, 2**32 - 1)),
        "first_step": draw(st.integers(1, 2**63 - steps)),
        "times": np.array(sorted(times), np.int64),
        "increments": values[0],
        "levels": values[1],
    }


def small_block(**changes: Any) -> dict[str, Any]:
    return {
        "fingerprint": FINGERPRINT,
        "partition": PARTITION,
        "first_step": 41,
        "times": np.array([10, 20]),
        "increments": np.array([[0.5, -0.25, 1.0], [np.nan, -0.0, 2.0]]),
        "levels": np.array([[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]),
    } | changes


def encoded(block: dict[str, Any]) -> bytes:
    buffer = bytearray(factor_block_size(*block["increments"].shape))
    assert encode_factor_block_into(buffer, 0, **block) == len(buffer)
    return bytes(buffer)


def expected(block: dict[str, Any], newer: bytes = b"") -> bytes:
    values = zip(block["increments"].ravel(), block["levels"].ravel(), strict=True)
    return sbe.encode(
        "FactorBlock",
        {
            "fingerprint": block["fingerprint"],
            "firstSequence": block["first_step"],
            "partition": block["partition"],
            "factors": block["increments"].shape[1],
        },
        {
            "steps": [{"time": time} for time in block["times"]],
            "values": [{"increment": increment, "level": level} for increment, level in values],
        },
        newer=newer,
    )


def decoded(*messages: bytes, factors: int = 3) -> Columns:
    return decode_factor_blocks(messages, fingerprint=FINGERPRINT, partition=PARTITION, factors=factors)


def bits(values: np.ndarray) -> list[int]:
    return [int(pattern) for pattern in np.ascontiguousarray(values).view(np.uint64).ravel()]


def assert_holds(columns: Columns, block: dict[str, Any], copies: int) -> None:
    steps, factors = block["increments"].shape
    assert columns.time.tolist() == np.repeat(block["times"], factors).tolist() * copies
    assert columns.sequence.tolist() == [block["first_step"] + j for j in range(steps) for _ in range(factors)] * copies
    assert columns.number.tolist() == list(range(factors)) * steps * copies
    assert bits(columns["increment"]) == bits(block["increments"]) * copies
    assert bits(columns["level"]) == bits(block["levels"]) * copies


@given(blocks())
def test_any_block_equals_the_reference_and_comes_back_bit_for_bit(block: dict[str, Any]) -> None:
    message = encoded(block)
    assert message == expected(block)
    steps, factors = block["increments"].shape
    header = MessageHeader(block["fingerprint"], block["partition"], block["first_step"], steps, steps * factors)
    assert peek_factor_block(message) == header
    assert header.last_step == block["first_step"] + steps - 1
    columns = decode_factor_blocks(
        [message, message], fingerprint=block["fingerprint"], partition=block["partition"], factors=factors
    )
    assert_holds(columns, block, copies=2)


def test_a_newer_version_is_read_without_what_was_added() -> None:
    assert_holds(decoded(expected(small_block(), newer=b"added")), small_block(), copies=1)


def test_every_truncation_and_every_flipped_bit_is_an_error() -> None:
    for neighbour in neighbours(encoded(small_block())):
        with pytest.raises(MalformedMessage):
            decoded(neighbour)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (2, "<H", 1, "not a factor block: templateId is 1 at byte 2, expected 3"),
        (8, "<Q", 0xAB, "factor block of another market: fingerprint is 00000000000000ab"),
        (16, "<q", 2**63 - 1, "the sequence is 9223372036854775807 at byte 16"),
        (24, "<I", 4, "factor block of another partition: it says 4"),
        (32, "<I", 2, "6 values, expected 2 steps x 2 factors"),
        (32, "<I", 2**32 - 1, "6 values, expected 2 steps x 4294967295 factors"),
        (48, "<q", 10, "time 10 at byte 48, expected one after 10"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(encoded(small_block()))
    struct.pack_into(layout, message, at, value)
    with pytest.raises(MalformedMessage, match=re.escape(text)) as raised:
        decoded(encoded(small_block()), sbe.signed(bytes(message)))
    assert raised.value.index == 1


def test_another_number_of_factors_than_the_markets_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="3 factors at byte 32, the market has 2"):
        decoded(encoded(small_block()), factors=2)
    assert len(decoded(factors=2)) == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"first_step": 0}, "first_step is 0"),
        ({"times": np.array([5, 5])}, r"times\[1\] is 5 after 5"),
        ({"times": np.array([5])}, "don't fit each other"),
        ({"levels": np.zeros((2, 2))}, "don't fit each other"),
        ({"increments": np.zeros((2, 0)), "levels": np.zeros((2, 0))}, "not 2 steps x 0 factors"),
        ({"increments": np.zeros((2, 4)), "levels": np.zeros((2, 4))}, "room for 160 bytes, the factor block needs"),
    ],
)
def test_wrong_input_is_refused_with_the_buffer_untouched(changes: dict[str, Any], text: str) -> None:
    buffer = bytearray(b"\xaa" * 160)
    with pytest.raises(ValueError, match=text):
        encode_factor_block_into(buffer, 0, **small_block(**changes))
    assert buffer == b"\xaa" * 160
