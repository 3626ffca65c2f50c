"""Event blocks against a codec that knows a schema alone: any events, cut in any way; damage; and what is refused."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import neighbours
from probe_kind import PROBE
from pseudofeed.encode import (
    MAXIMUM_EVENT_BLOCK,
    MessageHeader,
    decode_event_blocks,
    encode_event_block,
    encode_events,
    event_entries,
    maximum_events,
    peek_event_block,
)
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import Columns
from reference import sbe
from reference.event_schema import message_name, schema_with

FINGERPRINT, PARTITION = 0xFEDCBA9876543210, 3
SCHEMA = sbe.templates(ET.fromstring(schema_with(PROBE, "pseudofeed.test")))
NAMES = [*("time", "number", "step", "eventNumber"), *(field.name for field in PROBE.fields)]


def rows(counts: list[list[int]], first_step: int = 1) -> Columns:
    """counts[j][i]: how many events instrument i has in step first_step + j."""
    places = [
        (first_step + j, i, e) for j, step in enumerate(counts) for i, count in enumerate(step) for e in range(count)
    ]
    sequence, number, event = (np.array([place[k] for place in places], np.int64) for k in range(3))
    k = np.arange(len(places))
    return Columns(
        PROBE, sequence * 1_000_000_007 + event, sequence, number.astype(np.int32), event.astype(np.uint16),
        (k.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.float64),
        k.astype(np.uint32), (k % 3 - 1).astype(np.int8), np.array([f"w{n % 7}" for n in k], "S6"),
    )  # fmt: skip


def encoded(columns: Columns, first_step: int, steps: int) -> list[bytes]:
    return encode_events(columns, fingerprint=FINGERPRINT, partition=PARTITION, first_step=first_step, steps=steps)


def decoded(messages: list[bytes]) -> Columns:
    return decode_event_blocks(PROBE, messages, fingerprint=FINGERPRINT, partition=PARTITION)


def same(found: Columns, expected: Columns) -> bool:
    return all(
        np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
        for a, b in zip(found.arrays, expected.arrays, strict=True)
    )


counts = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 3), min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(counts, st.integers(1, 2**63 - 7))
def test_any_events_equal_the_reference_and_come_back_bit_for_bit(given: list[list[int]], first_step: int) -> None:
    columns = rows(given)
    entries = event_entries(columns, 1)
    message = encode_event_block(
        PROBE, entries, fingerprint=FINGERPRINT, partition=PARTITION, first_step=first_step, steps=len(given)
    )
    fields = {"fingerprint": FINGERPRINT, "firstSequence": first_step, "partition": PARTITION}
    fields |= {"steps": len(given), "firstEvent": 0, "more": 0}
    expected = [dict(zip(NAMES, entry.tolist(), strict=True)) for entry in entries]
    assert message == sbe.encode(message_name(PROBE), fields, {"events": expected}, known=SCHEMA)
    assert peek_event_block(PROBE, message) == MessageHeader(
        FINGERPRINT, PARTITION, first_step, len(given), len(columns)
    )
    found = decoded([message])
    assert found.spans.tolist() == [[first_step, first_step + len(given) - 1, 0, 0, len(columns)]]
    assert same(found, columns.with_sequence(columns.sequence - 1 + first_step))
    newer = sbe.encode(message_name(PROBE), fields, {"events": expected}, newer=b"added", known=SCHEMA)
    assert same(decoded([newer]), found)


@given(counts, st.integers(1, 5), st.integers(1, 1000))
def test_events_are_cut_into_blocks_that_follow_on_from_each_other(
    given: list[list[int]], most: int, first_step: int
) -> None:
    columns = rows(given, first_step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pseudofeed.encode.events.maximum_events", lambda _: most)
        messages = encoded(columns, first_step, len(given))
    found = decoded(messages)
    assert same(found, columns)
    step, event, begin = first_step, 0, 0
    for first, last, first_event, more, count in found.spans.tolist():
        assert (first, first_event) == (step, event)
        assert count <= most
        begin, end = begin + count, begin + count
        in_last = int((found.sequence[end - count : end] == last).sum())
        step, event = (last, in_last + (first_event if first == last else 0)) if more else (last + 1, 0)
    assert (step, event) == (first_step + len(given), 0)


def test_a_message_is_at_most_half_a_mebibyte() -> None:
    most = maximum_events(PROBE)
    columns = rows([[2 * most + 1], [1]])
    messages = encoded(columns, 1, 70_000)
    assert [len(message) <= MAXIMUM_EVENT_BLOCK for message in messages] == [True] * 4
    assert len(messages[0]) > MAXIMUM_EVENT_BLOCK - PROBE.entry.itemsize
    assert decoded(messages).spans[:, :4].tolist() == [
        [1, 1, 0, 1], [1, 1, most, 1], [1, 65_536, 2 * most, 0], [65_537, 70_000, 0, 0],
    ]  # fmt: skip
    entries = event_entries(columns.take(slice(0, most + 1)), 1)
    with pytest.raises(ValueError, match=f"at most {most} events, not {most + 1}"):
        encode_event_block(PROBE, entries, fingerprint=1, partition=0, first_step=1, steps=1, more=True)


def small(**changes: Any) -> bytes:
    arguments: dict[str, Any] = {"first_step": 5, "steps": 2, "first_event": 0, "more": False} | changes
    entries = arguments.pop("entries", event_entries(rows([[1, 2], [0, 1]]), 1))
    return encode_event_block(PROBE, entries, fingerprint=FINGERPRINT, partition=PARTITION, **arguments)


def test_every_truncation_and_every_flipped_bit_is_an_error() -> None:
    for neighbour in neighbours(small()):
        with pytest.raises(MalformedMessage):
            decoded([neighbour])


def wrong(k: int, **values: int) -> np.ndarray:
    """Of four good entries the k-th with other values."""
    entries = event_entries(rows([[1, 2], [0, 1]]), 1)
    for name, value in values.items():
        entries[name][k] = value
    return entries


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"first_step": 0}, "first_step is 0"),
        ({"first_step": 2**63 - 1}, "must lie in 1 .. 2^63 - 1"),
        ({"steps": 0}, "0 steps, expected 1 .. 65536"),
        ({"steps": 65_537}, "65537 steps, expected 1 .. 65536"),
        ({"steps": 1}, "event 3 is of step 1 and number 1, expected below 1"),
        ({"entries": wrong(1, number=2**31)}, "expected below 2 and below 2^31"),
        ({"entries": wrong(1, number=0)}, "event 1 (step 0, number 0, event 0) does not follow on"),
        ({"entries": wrong(2, event=2)}, "event 2 (step 0, number 1, event 2) does not follow on"),
        ({"entries": wrong(2, event=0)}, "does not follow on"),
        ({"entries": wrong(3, event=1)}, "does not follow on"),
        ({"entries": wrong(2, time=0)}, "times that do not go back"),
        ({"entries": wrong(1, step=1)}, "event 2 (step 0, number 1, event 1) does not follow on"),
        ({"first_event": 3, "entries": wrong(0, step=1)[:1]}, "goes on with its first step at event 3, but has none"),
        ({"more": True, "steps": 3}, "leaves its last step unfinished, but has no event of it"),
        ({"more": True, "entries": wrong(0)[:0]}, "without events: it can neither go on with a step"),
        ({"first_event": 1, "entries": wrong(0)[:0]}, "without events"),
        ({"entries": np.zeros(1)}, "not float64"),
    ],
)
def test_wrong_input_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        small(**changes)


@pytest.mark.parametrize(
    ("at", "layout", "value", "text"),
    [
        (2, "<H", 1, "not a probe block: templateId is 1 at byte 2, expected 60"),
        (8, "<Q", 0xAB, "probe block of another market: fingerprint is 00000000000000ab"),
        (16, "<q", 2**63 - 1, "the sequence is 9223372036854775807 at byte 16"),
        (24, "<I", 4, "probe block of another partition: it says 4"),
        (32, "<I", 0, "0 steps, expected 1 .. 65536"),
        (40, "<I", 2, "more is 2 at byte 40, expected 0 or 1"),
        (44, "<H", 34, "blockLength of group `events` is 34 at byte 44, expected 35"),
        (46, "<H", 65535, "group `events` has 65535 entries of 35 bytes at byte 44"),
        (46, "<H", 3, "35 bytes behind its end"),
        (62, "<H", 1, "does not follow on"),
    ],
)
def test_a_wrong_field_with_a_fitting_checksum_is_named(at: int, layout: str, value: int, text: str) -> None:
    message = bytearray(small())
    struct.pack_into(layout, message, at, value)
    with pytest.raises(MalformedMessage, match=re.escape(text)) as raised:
        decoded([small(), sbe.signed(bytes(message))])
    assert raised.value.index == 1


def test_no_message_is_no_events() -> None:
    assert len(decoded([])) == len(decoded([]).spans) == 0
