"""The tick block against a slow codec: any block in both directions, and every damaged neighbour of one."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from damage import neighbours
from pseudofeed.encode import (
    MAXIMUM_BLOCK_TICKS,
    MessageHeader,
    decode_ticks,
    encode_tick,
    encode_tick_block_into,
    peek_ticks,
    tick_block_size,
)
from pseudofeed.encode._encode import crc32
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import Columns
from reference import sbe

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "wire.md"

# Every pattern of 64 bits as a double: NaNs with any payload, -0.0, subnormal numbers, infinities.
any_double = st.integers(0, 2**64 - 1) | st.sampled_from([0x8000000000000000, 0x7FF8000000000001, 0xFFF0000000000001])


def doubles(patterns: list[int], shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.array(patterns, np.uint64).view(np.float64).reshape(shape)


def bits(values: NDArray[np.float64]) -> list[int]:
    return [int(pattern) for pattern in np.ascontiguousarray(values).view(np.uint64).ravel()]


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of encode_tick_block_into: a partition's columns out of a wider market."""
    steps, width = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    columns = draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=width, unique=True))
    cells = st.lists(any_double, min_size=steps * width, max_size=steps * width)
    times = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=steps, max_size=steps, unique=True)
    numbers = st.lists(st.integers(0, 2**31 - 1), min_size=len(columns), max_size=len(columns), unique=True)
    return {
        "fingerprint": draw(st.integers(0, 2**64 - 1)),
        "partition": draw(st.integers(0, 2**32 - 1)),
        "first_step": draw(st.integers(1, 2**63 - steps)),
        "times": np.array(sorted(draw(times)), np.int64),
        "instruments": np.array(sorted(draw(numbers)), np.int32),
        "prices": doubles(draw(cells), (steps, width)),
        "variances": doubles(draw(cells), (steps, width)),
        "columns": np.array(columns, np.int32),
    }


def small_block(**changes: Any) -> dict[str, Any]:
    block = {
        "fingerprint": 0xFEDCBA9876543210,
        "partition": 3,
        "first_step": 41,
        "times": np.array([1_000_000_000, 2_000_000_000]),
        "instruments": np.array([4, 7]),
        "prices": np.array([[100.25, 101.5], [100.75, -0.0]]),
        "variances": np.array([[0.04, 0.05], [-0.001, np.nan]]),
    }
    return block | changes


def encoded(block: dict[str, Any]) -> bytes:
    buffer = bytearray(tick_block_size(len(block["times"]), len(block["instruments"])))
    assert encode_tick_block_into(buffer, 0, **block) == len(buffer)
    return bytes(buffer)


def decoded(*messages: bytes, fingerprint: int = 0xFEDCBA9876543210, partition: int = 3) -> Columns:
    return decode_ticks(messages, fingerprint=fingerprint, partition=partition)


def expected(block: dict[str, Any], newer: bytes = b"") -> bytes:
    columns = block.get("columns", slice(None))
    values = zip(block["prices"][:, columns].ravel(), block["variances"][:, columns].ravel(), strict=True)
    return sbe.encode(
        "TickBlock",
        {
            "fingerprint": block["fingerprint"],
            "firstSequence": block["first_step"],
            "partition": block["partition"],
        },
        {
            "instruments": [{"number": number} for number in block["instruments"]],
            "steps": [{"time": time} for time in block["times"]],
            "ticks": [{"price": price, "variance": variance} for price, variance in values],
        },
        newer=newer,
    )


@given(blocks())
def test_any_block_equals_the_reference_and_comes_back_bit_for_bit(block: dict[str, Any]) -> None:
    message = encoded(block)
    prices, variances = (block[name][:, block["columns"]] for name in ("prices", "variances"))
    assert message == expected(block)

    steps, width = prices.shape
    header = MessageHeader(block["fingerprint"], block["partition"], block["first_step"], steps, steps * width)
    assert peek_ticks(message) == header
    assert header.last_step == block["first_step"] + steps - 1
    ticks = decoded(message, message, fingerprint=block["fingerprint"], partition=block["partition"])
    assert ticks.time.tolist() == np.repeat(block["times"], width).tolist() * 2
    assert ticks.sequence.tolist() == [block["first_step"] + j for j in range(steps) for _ in range(width)] * 2
    assert ticks.number.tolist() == block["instruments"].tolist() * steps * 2
    assert bits(ticks["price"]) == bits(prices) * 2
    assert bits(ticks["variance"]) == bits(variances) * 2


@given(st.integers(0, 200), blocks())
@settings(max_examples=20)
def test_encoding_at_an_offset_touches_nothing_else(offset: int, block: dict[str, Any]) -> None:
    message = encoded(block)
    buffer = bytearray(b"\xaa" * (offset + len(message) + 5))
    assert encode_tick_block_into(buffer, offset, **block) == len(message)
    assert buffer == b"\xaa" * offset + message + b"\xaa" * 5


def test_every_truncation_and_every_flipped_bit_is_an_error() -> None:
    for neighbour in neighbours(encoded(small_block())):
        with pytest.raises(MalformedMessage):
            decoded(neighbour)
        with pytest.raises(MalformedMessage):
            peek_ticks(neighbour)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (0, "<H", 32, "blockLength is 32 at byte 0, expected 24"),
        (2, "<H", 9, "templateId is 9 at byte 2, expected 1"),
        (4, "<H", 9, "schemaId is 9 at byte 4, expected 1"),
        (8, "<Q", 0xAB, "fingerprint is 00000000000000ab at byte 8, expected fedcba9876543210"),
        (16, "<q", 0, "the sequence is 0 at byte 16"),
        (16, "<q", 2**63 - 1, "the sequence is 9223372036854775807 at byte 16"),
        (24, "<I", 4, "another partition: it says 4 at byte 24, expected 3"),
        (34, "<H", 65535, "`instruments` has 65535 entries of 4 bytes at byte 32, but the message has 132 bytes"),
        (40, "<I", 4, "instrument number 4 at byte 40, expected 5 .. 2^31 - 1"),
        (40, "<I", 2**31, "instrument number 2147483648 at byte 40"),
        (56, "<q", 10**9, "time 1000000000 at byte 56, expected one after 1000000000"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(encoded(small_block()))
    struct.pack_into(layout, message, at, value)
    struct.pack_into("<I", message, 28, sbe.checksum(bytes(message)))
    good = encoded(small_block())
    with pytest.raises(MalformedMessage, match=re.escape(text)) as raised:
        decoded(good, good, bytes(message), good)
    assert raised.value.index == 2


def test_a_newer_version_is_read_without_what_was_added() -> None:
    block = small_block()
    old, new = decoded(encoded(block)), decoded(expected(block, newer=b"added"))
    assert (new.time.tolist(), new.sequence.tolist()) == (old.time.tolist(), old.sequence.tolist())
    assert new.number.tolist() == old.number.tolist()
    assert (bits(new["price"]), bits(new["variance"])) == (bits(old["price"]), bits(old["variance"]))


def test_decoding_takes_any_bytes_like_object_and_nothing_else() -> None:
    message = encoded(small_block())
    kinds: list[Any] = [message, bytearray(message), memoryview(message), np.frombuffer(message, np.uint8)]
    ticks = decode_ticks(kinds, fingerprint=0xFEDCBA9876543210, partition=3)
    assert len(ticks) == 16
    assert len(decoded()) == 0
    with pytest.raises(TypeError):
        decode_ticks([message, None], fingerprint=0, partition=0)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"first_step": 0}, "first_step is 0"),
        ({"times": np.array([5, 5])}, r"times\[1\] is 5 after 5"),
        ({"times": np.array([5])}, "don't fit each other"),
        ({"instruments": np.array([7, 4])}, r"instruments\[1\] is 4"),
        ({"instruments": np.array([4, 2**32])}, "must fit 32 bits"),
        ({"instruments": np.array([4.0, 7.0])}, "array of integers"),
        ({"instruments": np.array([1, 2, 3])}, "column 2 of instrument 3 is none of the 2 columns"),
        ({"columns": np.array([0, 2])}, "column 2 of instrument 7 is none of the 2 columns"),
        ({"columns": np.array([0])}, "1 columns for 2 instruments"),
        ({"variances": np.zeros((2, 3))}, "don't fit each other"),
        ({"prices": np.zeros((2, 0)), "variances": np.zeros((2, 0))}, "no columns"),
        ({"times": np.empty(0, np.int64), "prices": np.empty((0, 2)), "variances": np.empty((0, 2))}, "1 to 65534"),
    ],
)
def test_wrong_input_is_refused_with_the_buffer_untouched(changes: dict[str, Any], text: str) -> None:
    buffer = bytearray(b"\xaa" * 200)
    with pytest.raises(ValueError, match=text):
        encode_tick_block_into(buffer, 0, **small_block(**changes))
    assert buffer == b"\xaa" * 200


def test_a_buffer_too_small_is_refused() -> None:
    size = tick_block_size(2, 2)
    buffer = bytearray(b"\xaa" * size)
    with pytest.raises(ValueError, match=f"room for {size - 1} bytes, the tick block needs {size}"):
        encode_tick_block_into(buffer, 1, **small_block())
    with pytest.raises(ValueError, match=f"offset {size + 1} is beyond"):
        encode_tick_block_into(buffer, size + 1, **small_block())
    with pytest.raises(ValueError, match="room for 0 bytes"):
        encode_tick_block_into(bytearray(), 0, **small_block())
    assert buffer == b"\xaa" * size


def test_the_largest_block_and_the_first_too_large() -> None:
    steps = MAXIMUM_BLOCK_TICKS // 2
    values = np.arange(2.0 * steps).reshape(steps, 2)
    ticks = decoded(encoded(small_block(times=np.arange(steps), prices=values, variances=-values)))
    assert bits(ticks["price"]) == bits(values)
    with pytest.raises(ValueError, match="1 to 65534 ticks, not 32768 steps x 2 instruments"):
        tick_block_size(32768, 2)


def test_a_block_costs_at_most_24_bytes_a_tick() -> None:
    for steps, instruments in [(1, 100), (10, 25), (100, 10), (1000, 25)]:
        assert tick_block_size(steps, instruments) <= 24 * steps * instruments


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_crc32_continues_like_zlibs(data: bytes, before: bytes) -> None:
    assert crc32(data, crc32(before)) == zlib.crc32(before + data)


def test_the_readers_in_the_documentation_read_a_block_and_ticks() -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    block = small_block()
    message = encoded(block)
    fingerprint, partition, sequences, instruments, times, ticks = names["read_tick_block"](message)
    assert (fingerprint, partition) == (0xFEDCBA9876543210, 3)
    assert sequences.tolist() == [41, 42]
    assert instruments.tolist() == [4, 7]
    assert times.tolist() == [1_000_000_000, 2_000_000_000]
    assert bits(ticks["price"]) == bits(block["prices"])
    assert bits(ticks["variance"]) == bits(block["variances"])
    with pytest.raises(ValueError, match="damaged"):
        names["read_tick_block"](message[:-1] + b"\xff")
    arguments: dict[str, Any] = {
        "fingerprint": 5,
        "partition": 3,
        "time": 7,
        "instrument": 2,
        "price": -0.0,
        "variance": 0.04,
    }
    singles = [encode_tick(sequence=sequence, **arguments) for sequence in (1, 2)]
    rows = names["read_ticks"](singles)
    assert rows["sequence"].tolist() == [1, 2]
    assert rows["fingerprint"].tolist() == [5, 5]
    assert bits(rows["price"]) == [1 << 63] * 2
    assert [rows[name][1] for name in ("partition", "time", "number", "variance")] == [3, 7, 2, 0.04]
    with pytest.raises(ValueError, match="damaged"):
        names["read_ticks"]([singles[0], singles[1][:-1] + b"\xff"])
