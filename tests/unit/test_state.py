"""The state's messages: any arrays come back bit for bit, in parts; what is damaged, missing or mixed is refused."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from damage import neighbours
from pseudofeed.encode import StatePart, decode_state, encode_state, peek_state
from pseudofeed.encode.state import MAXIMUM_PART
from pseudofeed.errors import MalformedMessage
from reference import sbe

FINGERPRINT = 0xFEDCBA9876543210
OFFSETS = {"ticks.x": np.array([5, 0, 7]), "factors.x": np.array([9])}
DTYPES = ("f8", "i8", "i4", "u4", "u8", "u1")

arrays = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.tuples(st.sampled_from(DTYPES), st.binary(max_size=200)).map(
        lambda made: np.frombuffer(made[1][: len(made[1]) // 8 * 8], made[0])
    ),
    max_size=5,
)


def encoded(given: Mapping[str, NDArray[Any]], **changes: Any) -> list[bytes]:
    arguments: dict[str, Any] = {"step": 12, "version": 3, "key_set": 1, "offsets": OFFSETS} | changes
    return [value for _, value in encode_state(given, fingerprint=FINGERPRINT, **arguments)]


def small() -> dict[str, NDArray[Any]]:
    return {"price": np.array([1.5, -0.0, np.nan]), "sizes": np.array([1, 2], np.uint32), "none": np.empty(0)}


@given(arrays, st.integers(250, 600), st.randoms())
def test_any_state_comes_back_from_its_parts_in_any_order(
    given: dict[str, NDArray[Any]], most: int, random: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pseudofeed.encode.state.MAXIMUM_PART", most)
        messages = encode_state(
            given, fingerprint=FINGERPRINT, step=12, version=3, key_set=1, offsets=OFFSETS
        )  # fmt: skip
    assert [key for key, _ in messages] == [f"1.{part}".encode() for part in range(len(messages))]
    parts = [value for _, value in messages]
    assert all(len(part) <= most for part in parts)
    assert peek_state(parts[-1]) == StatePart(FINGERPRINT, 12, 3, 1, len(parts) - 1, len(parts))
    random.shuffle(parts)
    found = decode_state(parts, fingerprint=FINGERPRINT)
    assert (found.step, found.version, found.key_set) == (12, 3, 1)
    assert {name: array.dtype.str for name, array in found.arrays.items()} == {
        name: array.dtype.str for name, array in given.items()
    }
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in given.items()
    }
    assert {name: own.tolist() for name, own in found.offsets.items()} == {
        name: own.tolist() for name, own in OFFSETS.items()
    }
    if len(parts) > 1:
        with pytest.raises(MalformedMessage, match="not complete"):
            decode_state(parts[1:], fingerprint=FINGERPRINT)
        with pytest.raises(MalformedMessage, match="does not belong to the others") as raised:
            decode_state([*parts[1:], parts[1]], fingerprint=FINGERPRINT)
        assert raised.value.index == len(parts) - 1


def test_the_message_is_the_schemas() -> None:
    state = small()
    (message,) = encoded(state)
    places = [(topic, p, int(offset)) for topic, own in OFFSETS.items() for p, offset in enumerate(own)]
    assert message == sbe.encode(
        "StatePart",
        {
            "fingerprint": FINGERPRINT, "sequence": 12, "partition": 0,
            "stateVersion": 3, "keySet": 1, "part": 0, "parts": 1,
        },
        {
            "offsets": [{"topicPartition": p, "offset": at, "topic": topic.encode()} for topic, p, at in places],
            "arrays": [
                {
                    "arrayType": 1 if name != "sizes" else 4, "length": len(array), "first": 0,
                    "arrayName": name.encode(), "values": array.tobytes(),
                }
                for name, array in state.items()
            ],
        },
    )  # fmt: skip


def test_a_large_state_is_in_parts_of_half_a_mebibyte() -> None:
    prices = np.random.default_rng(1).normal(size=200_000)
    parts = encoded({"price": prices, "level": prices[:3]})
    assert [len(part) <= MAXIMUM_PART for part in parts] == [True] * 4
    assert decode_state(parts, fingerprint=FINGERPRINT).arrays["price"].tobytes() == prices.tobytes()


def test_every_truncation_and_every_flipped_bit_is_an_error() -> None:
    (message,) = encoded({"price": np.array([1.5])}, offsets={"t": np.array([3])})
    for neighbour in neighbours(message):
        with pytest.raises(MalformedMessage) as raised:
            decode_state([neighbour], fingerprint=FINGERPRINT)
        assert raised.value.index == 0


@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=8))
def test_whatever_a_writer_gets_wrong_is_no_other_error(at: int, wrong: bytes) -> None:
    """Bytes behind a checksum that fits."""
    (message,) = encoded(small())
    at = 32 + at % (len(message) - 32)
    changed = (message[:at] + wrong + message[at + len(wrong) :])[: len(message)]
    with contextlib.suppress(MalformedMessage):
        decode_state([sbe.signed(changed)], fingerprint=FINGERPRINT)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"step": 13}, "of step 13 does not belong"),
        ({"version": 4}, "does not belong"),
        ({"key_set": 0}, "does not belong"),
    ],
)
def test_parts_of_two_states_are_not_mixed(changes: dict[str, Any], text: str) -> None:
    large = {"price": np.zeros(100_000)}
    first, second = encoded(large), encoded(large, **changes)
    with pytest.raises(MalformedMessage, match=text) as raised:
        decode_state([first[0], second[1]], fingerprint=FINGERPRINT)
    assert raised.value.index == 1


def test_another_markets_state_and_none_are_refused() -> None:
    with pytest.raises(MalformedMessage, match="another market: its fingerprint is fedcba9876543210, expected 0000"):
        decode_state(encoded(small()), fingerprint=1)
    with pytest.raises(MalformedMessage, match="not complete: 0 of"):
        decode_state([], fingerprint=1)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (2, "<H", 1, "not a state: schemaId, templateId and blockLength are 1, 1 and 40"),
        (36, "<I", 2, "key set 2"),
        (40, "<I", 1, "part 1 of 1: out of range"),
        (44, "<I", 2, "not complete: 1 of 2 parts"),
        (48, "<H", 11, "blockLength of a group is 11, expected 12"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(encoded(small())[0])
    struct.pack_into(layout, message, at, value)
    with pytest.raises(MalformedMessage, match=re.escape(text)):
        decode_state([sbe.signed(bytes(message))], fingerprint=FINGERPRINT)


@pytest.mark.parametrize(
    ("given", "changes", "text"),
    [
        ({"x": np.zeros((2, 2))}, {}, "state array x is float64 (2, 2); it must be one-dimensional"),
        ({"x": np.zeros(2, np.float32)}, {}, "state array x is float32"),
        ({"": np.zeros(2)}, {}, "a name or topic has 1 to 255"),
        ({}, {"key_set": 2}, "key_set is 2"),
        ({}, {"step": 0}, "step 0"),
        ({"x": np.zeros(2)}, {"offsets": {"t": np.zeros(40_000)}}, "the offsets of a state do not fit 524288 bytes"),
    ],
)
def test_what_is_no_state_is_refused(given: dict[str, NDArray[Any]], changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        encoded(given, **changes)
