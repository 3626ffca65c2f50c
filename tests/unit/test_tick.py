"""Single ticks, in SBE and as JSON, against slow codecs; and batches of messages of every shape."""

from __future__ import annotations

import json
import math
import re
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import neighbours
from pseudofeed.encode import (
    TICK_SIZE,
    MessageHeader,
    decode_ticks,
    encode_tick,
    encode_tick_block_into,
    encode_tick_json,
    peek_ticks,
    tick_block_size,
)
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import Columns
from reference import sbe

FINGERPRINT, PARTITION = 0xFEDCBA9876543210, 3
TICK: dict[str, Any] = {
    "fingerprint": FINGERPRINT, "partition": PARTITION, "sequence": 1, "time": 1_772_461_801_000_000_000,
    "instrument": 0, "price": 100.1, "variance": 0.04,
}  # fmt: skip
LINE = (
    b'{"symbol":"ALFA","time":"2026-03-02T14:30:01.000000000Z","sequence":1,"price":100.1,"variance":0.04,'
    b'"instrument":0,"market_fingerprint":"fedcba9876543210"}'
)

# Every pattern of 64 bits as a double: NaNs with any payload, -0.0, subnormal numbers, infinities.
any_double = (st.integers(0, 2**64 - 1) | st.sampled_from([1 << 63, 0x7FF8000000000001, 0xFFF0000000000001])).map(
    lambda pattern: struct.unpack("<d", struct.pack("<Q", pattern))[0]
)
ticks = st.fixed_dictionaries(
    {
        "fingerprint": st.integers(0, 2**64 - 1),
        "partition": st.integers(0, 2**32 - 1),
        "sequence": st.integers(1, 2**63 - 1),
        "time": st.integers(-(2**63), 2**63 - 1),
        "instrument": st.integers(0, 2**31 - 1),
        "price": any_double,
        "variance": any_double,
    }
)


def as_json(symbol: str, tick: dict[str, Any]) -> bytes:
    return encode_tick_json(symbol, **{name: value for name, value in tick.items() if name != "partition"})


def expected(tick: dict[str, Any], newer: bytes = b"") -> bytes:
    return sbe.encode("Tick", {**tick, "number": tick["instrument"]}, newer=newer)


def decoded(*messages: bytes) -> Columns:
    return decode_ticks(messages, fingerprint=FINGERPRINT, partition=PARTITION)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def assert_is(columns: Columns, row: int, tick: dict[str, Any]) -> None:
    assert columns.time[row] == tick["time"]
    assert columns.sequence[row] == tick["sequence"]
    assert columns.number[row] == tick["instrument"]
    assert bits(columns["price"][row]) == bits(tick["price"])
    assert bits(columns["variance"][row]) == bits(tick["variance"])


@given(ticks)
def test_any_sbe_tick_equals_the_reference_and_comes_back_bit_for_bit(tick: dict[str, Any]) -> None:
    message = encode_tick(**tick)
    assert len(message) == TICK_SIZE
    assert message == expected(tick)
    columns = decode_ticks([message, message], fingerprint=tick["fingerprint"], partition=tick["partition"])
    assert len(columns) == 2
    assert_is(columns, 1, tick)
    header = MessageHeader(tick["fingerprint"], tick["partition"], tick["sequence"], 1, 1, tick["instrument"])
    assert peek_ticks(message) == header


@given(st.text(max_size=12), ticks)
def test_any_finite_json_tick_is_what_pythons_json_reads_and_comes_back_bit_for_bit(
    symbol: str, tick: dict[str, Any]
) -> None:
    if not math.isfinite(tick["price"]) or not math.isfinite(tick["variance"]):
        with pytest.raises(ValueError, match="JSON has no number"):
            as_json(symbol, tick)
        return
    message = as_json(symbol, tick)
    read = json.loads(message)
    assert list(read) == ["symbol", "time", "sequence", "price", "variance", "instrument", "market_fingerprint"]
    assert read["symbol"] == symbol
    moment = datetime.fromisoformat(read["time"][:19]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert moment // timedelta(seconds=1) * 10**9 + int(read["time"][20:29]) == tick["time"]
    assert bits(read["price"]) == bits(tick["price"])
    assert bits(read["variance"]) == bits(tick["variance"])
    assert int(read["market_fingerprint"], 16) == tick["fingerprint"]
    columns = decode_ticks([message], fingerprint=tick["fingerprint"], partition=tick["partition"])
    assert_is(columns, 0, tick)
    assert peek_ticks(message) == MessageHeader(tick["fingerprint"], None, tick["sequence"], 1, 1, tick["instrument"])


def test_the_json_form_to_the_byte() -> None:
    assert as_json("ALFA", TICK) == LINE
    assert b'"price":1e+23,"variance":5e-324' in as_json('Ω."\\\n', TICK | {"price": 1e23, "variance": 5e-324})


def test_a_batch_may_mix_all_shapes() -> None:
    block = bytearray(tick_block_size(2, 2))
    prices = np.array([[1.0, 2.0], [3.0, 4.0]])
    encode_tick_block_into(
        block, 0, fingerprint=FINGERPRINT, partition=PARTITION, first_step=7, times=np.array([10, 20]),
        instruments=np.array([4, 9]), prices=prices, variances=-prices,
    )  # fmt: skip
    columns = decoded(LINE, bytes(block), encode_tick(**TICK | {"instrument": 5}))
    assert columns.number.tolist() == [0, 4, 9, 4, 9, 5]
    assert columns.sequence.tolist() == [1, 7, 7, 8, 8, 1]
    assert columns["price"].tolist() == [100.1, 1, 2, 3, 4, 100.1]


def test_a_large_batch_of_single_ticks_keeps_its_order() -> None:
    count = 12_000
    price = np.random.default_rng(1).uniform(1, 500, count)
    messages = [encode_tick(**TICK | {"sequence": k + 1, "time": 10 * k, "price": price[k]}) for k in range(count)]
    columns = decoded(*messages)
    assert np.array_equal(columns.sequence, np.arange(1, count + 1))
    assert np.array_equal(columns.time, 10 * np.arange(count))
    assert np.array_equal(columns["price"], price)
    messages[-2] = messages[-2][:-1]
    with pytest.raises(MalformedMessage) as raised:
        decoded(*messages)
    assert raised.value.index == count - 2


def test_every_truncation_and_flipped_bit_of_an_sbe_tick_is_an_error() -> None:
    for neighbour in neighbours(encode_tick(**TICK)):
        with pytest.raises(MalformedMessage):
            decoded(neighbour)
        with pytest.raises(MalformedMessage):
            peek_ticks(neighbour)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (0, "<H", 53, "tick: blockLength is 53 at byte 0, expected 52"),
        (4, "<H", 2, "schemaId is 2 at byte 4"),
        (8, "<Q", 0xAB, "tick of another market: fingerprint is 00000000000000ab at byte 8"),
        (16, "<q", 0, "tick: the sequence is 0 at byte 16"),
        (24, "<I", 4, "tick of another partition: it says 4 at byte 24, expected 3"),
        (56, "<I", 2**31, "tick: instrument number 2147483648 at byte 56"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(encode_tick(**TICK))
    struct.pack_into(layout, message, at, value)
    struct.pack_into("<I", message, 28, sbe.checksum(bytes(message)))
    with pytest.raises(MalformedMessage, match=re.escape(text)) as raised:
        decoded(LINE, encode_tick(**TICK), bytes(message))
    assert raised.value.index == 2


def test_an_sbe_tick_of_a_newer_version_is_read_without_what_was_added() -> None:
    message = expected(TICK, newer=b"added")
    assert_is(decoded(message), 0, TICK)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"{", b" {"),
        (b"}", b"}\n"),
        (b'"symbol":', b'"symbol": '),
        (b'"symbol"', b'"Symbol"'),
        (b'"ALFA"', b'"AL\x1fA"'),
        (b'"ALFA"', b'"AL\xffA"'),
        (b'"ALFA"', b'"AL\xc3"'),
        (b'"ALFA"', b'"\xed\xa0\x80"'),
        (b'"ALFA"', b'"A\\xFA"'),
        (b'"ALFA"', b'"A\\u12g4"'),
        (b'"ALFA"', b'"A"LFA"'),
        (b'"ALFA"', b"null"),
        (b"2026-03-02T", b"2026-02-30T"),
        (b"2026-03-02T", b"2026-13-02T"),
        (b"2026-03-02T", b"2263-03-02T"),
        (b"2026-03-02T", b"2O26-03-02T"),
        (b"T14:30:01", b"T24:30:01"),
        (b"T14:30:01", b"T14:30:60"),
        (b".000000000Z", b".000Z"),
        (b"000Z", b"000+"),
        (b'"sequence":1', b'"sequence":0'),
        (b'"sequence":1', b'"sequence":-1'),
        (b'"sequence":1', b'"sequence":01'),
        (b'"sequence":1', b'"sequence":9223372036854775808'),
        (b"100.1", b"100.10"),
        (b"100.1", b"0100.1"),
        (b"100.1", b"+100.1"),
        (b"100.1", b"1001e-1"),
        (b"100.1", b"1e999"),
        (b"100.1", b"nan"),
        (b"100.1", b"inf"),
        (b"100.1", b'"100.1"'),
        (b"0.04", b".04"),
        (b'"instrument":0', b'"instrument":-0'),
        (b'"instrument":0', b'"instrument":2147483648'),
        (b"fedcba", b"FEDCBA"),
        (b"fedcba", b"0fedcba"),
        (b"fedcba9876543210", b"fedcba987654321"),
        (b'"instrument":0,', b""),
    ],
)
def test_json_in_another_form_is_refused(old: bytes, new: bytes) -> None:
    changed = LINE.replace(old, new, 1)
    assert changed != LINE
    with pytest.raises(MalformedMessage, match=r"JSON tick|not a |tick block of"):
        decoded(changed)


def test_json_of_another_market_is_refused_and_every_truncation() -> None:
    with pytest.raises(MalformedMessage, match="market_fingerprint is fedcba9876543211, expected fedcba9876543210"):
        decoded(LINE.replace(b"3210", b"3211"))
    for length in range(len(LINE)):
        with pytest.raises(MalformedMessage):
            decoded(LINE[:length])


def test_ticks_out_of_range_are_refused() -> None:
    for change in ({"sequence": 0}, {"instrument": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(change))} is"):
            encode_tick(**TICK | change)
