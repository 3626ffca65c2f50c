"""Where a feed goes on: the last step that each partition of a topic holds, read from its last message.

Offsets may have gaps, so the last message is looked for backwards from the end, in growing steps. A feed that was
killed may have had requests under way which the broker writes after we looked; so a topic with data counts as read
when two looks, `SETTLE_SECONDS` apart, find the same end. What arrives later still is noticed by the producer, whose
messages then do not get the offsets that are due (Producer.expect_offsets).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._encode import peek_ticks
from pseudofeed.errors import MalformedMessage, TopicError
from pseudofeed.publish.reader import TopicReader

__all__ = ["TopicEnd", "last_sequences", "read_end"]

SETTLE_SECONDS = 0.25
SETTLE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class TopicEnd:
    """(P,) int64 each. sequences: the last step that a partition holds, 0 if it is empty. offsets: the next one to be
    written."""

    sequences: NDArray[np.int64]
    offsets: NDArray[np.int64]


def last_sequences(kafka: Mapping[str, str], topic: str, partitions: int, *, fingerprint: int) -> NDArray[np.int64]:
    """The last step that each partition holds, (P,) int64; 0 where it is empty. Raises as `read_end`."""
    return read_end(kafka, topic, partitions, fingerprint=fingerprint, settle=False).sequences


def read_end(
    kafka: Mapping[str, str], topic: str, partitions: int, *, fingerprint: int, settle: bool = True
) -> TopicEnd:
    """The end of each partition, its last message checked (lengths, checksum, fingerprint, partition).

    settle: wait until nobody writes. Raises TopicError naming the topic where another feed goes on writing, where
    retention took what was there, or where the data is another market's; MalformedMessage naming partition and
    offset.
    """
    with TopicReader(kafka) as reader:
        low, high = reader.watermarks(topic, partitions)
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while settle and (high > 0).any():
            time.sleep(SETTLE_SECONDS)
            before = high
            low, high = reader.watermarks(topic, partitions)
            if np.array_equal(before, high):
                break
            if time.monotonic() > deadline:
                raise TopicError(
                    f"another feed is writing to topic {topic}: a market has one feed at a time; stop the other one"
                )
        sequences = np.zeros(partitions, dtype=np.int64)
        for partition, message in _last_messages(reader, topic, low, high).items():
            sequences[partition] = _last_step(topic, partition, *message, fingerprint=fingerprint)
    return TopicEnd(sequences, high)


def _last_messages(
    reader: TopicReader, topic: str, low: NDArray[np.int64], high: NDArray[np.int64]
) -> dict[int, tuple[int, bytes]]:
    """partition -> (offset, value) of its last message before `high`; no entry where nothing was ever written."""
    found: dict[int, tuple[int, bytes]] = {}
    starts = {p: int(high[p]) - 1 for p in range(len(high)) if high[p] > 0}
    back = 1
    while starts:
        for message in reader.read(topic, {p: max(start, int(low[p])) for p, start in starts.items()}):
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset < high[partition]:
                found[partition] = (offset, message.value() or b"")
        starts = {p: start for p, start in starts.items() if p not in found}
        if lost := [p for p, start in starts.items() if start <= low[p]]:
            raise TopicError(
                f"topic {topic}, partition {lost[0]}: all before offset {high[lost[0]]} was deleted (by retention "
                "or by hand), so where to go on is unknown; drop the market and its topic to begin anew"
            )
        back *= 8
        starts = {p: start - back for p, start in starts.items()}
    return found


def _last_step(topic: str, partition: int, offset: int, value: bytes, *, fingerprint: int) -> int:
    place = f"topic {topic}, partition {partition}, offset {offset}"
    try:
        header = peek_ticks(value)
    except MalformedMessage as error:
        raise MalformedMessage(f"{place}: {error}") from None
    if header.fingerprint != fingerprint:
        raise TopicError(
            f"{place}: its ticks are of a market with fingerprint {header.fingerprint:016x}, not {fingerprint:016x}: "
            "the topic is left over from an older market of this name; delete it"
        )
    if header.partition not in (None, partition):
        raise MalformedMessage(f"{place}: the message says that it belongs to partition {header.partition}")
    return header.last_step
