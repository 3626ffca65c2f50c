"""The wire's messages, slowly: docs/wire.md put into struct and zlib, one field after the other."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "<HHHH"  # blockLength, templateId, schemaId, version
ROOT = "<QqII"  # fingerprint, firstSequence, partition, checksum
GROUP = "<HH"  # blockLength, numInGroup


@dataclass(frozen=True)
class Block:
    """One tick block. prices and variances: a row a step, a value an instrument."""

    fingerprint: int
    first_sequence: int
    partition: int
    instruments: list[int]
    times: list[int]
    prices: list[list[float]]
    variances: list[list[float]]


def checksum(message: bytes) -> int:
    return zlib.crc32(message[32:], zlib.crc32(message[:28]))


def signed(message: bytes) -> bytes:
    """The message with its checksum put in."""
    return message[:28] + struct.pack("<I", checksum(message)) + message[32:]


def encode_tick(
    *, fingerprint: int, partition: int, sequence: int, time: int, instrument: int, price: float, variance: float
) -> bytes:
    message = struct.pack(HEADER, 52, 2, 1, 0) + struct.pack(ROOT, fingerprint, sequence, partition, 0)
    return signed(message + struct.pack("<qddI", time, price, variance, instrument))


def encode(block: Block) -> bytes:
    message = struct.pack(HEADER, 24, 1, 1, 0)
    message += struct.pack(ROOT, block.fingerprint, block.first_sequence, block.partition, 0)
    message += struct.pack(GROUP, 4, len(block.instruments))
    for number in block.instruments:
        message += struct.pack("<I", number)
    message += struct.pack(GROUP, 8, len(block.times))
    for time in block.times:
        message += struct.pack("<q", time)
    message += struct.pack(GROUP, 16, len(block.times) * len(block.instruments))
    for prices, variances in zip(block.prices, block.variances, strict=True):
        for price, variance in zip(prices, variances, strict=True):
            message += struct.pack("<dd", price, variance)
    return signed(message)


def decode(message: bytes) -> Block:
    """Raises ValueError where the message is damaged or not a tick block."""
    try:
        root_length, template, schema, _ = struct.unpack_from(HEADER, message, 0)
        fingerprint, first_sequence, partition, expected = struct.unpack_from(ROOT, message, 8)
        at = 8 + root_length
        groups: list[list[bytes]] = []
        for _ in range(3):
            length, count = struct.unpack_from(GROUP, message, at)
            at += 4
            groups.append([message[at + k * length : at + (k + 1) * length] for k in range(count)])
            at += length * count
        instruments = [struct.unpack_from("<I", entry)[0] for entry in groups[0]]
        times = [struct.unpack_from("<q", entry)[0] for entry in groups[1]]
        ticks = [struct.unpack_from("<dd", entry) for entry in groups[2]]
    except struct.error as error:
        raise ValueError(f"too short: {error}") from error
    if (schema, template) != (1, 1) or at != len(message) or expected != checksum(message):
        raise ValueError("not a tick block, or a damaged one")
    width = len(instruments)
    rows: Sequence[Sequence[tuple[float, float]]] = [ticks[j * width : (j + 1) * width] for j in range(len(times))]
    return Block(
        fingerprint=fingerprint,
        first_sequence=first_sequence,
        partition=partition,
        instruments=instruments,
        times=times,
        prices=[[price for price, _ in row] for row in rows],
        variances=[[variance for _, variance in row] for row in rows],
    )
