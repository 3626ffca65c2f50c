"""Damaged neighbours of a message."""

from __future__ import annotations

from collections.abc import Iterator


def neighbours(message: bytes) -> Iterator[bytes]:
    """Every truncation, one byte more, and every flipped bit."""
    yield from (message[:length] for length in range(len(message)))
    yield message + b"\0"
    for bit in range(8 * len(message)):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
