"""The state of a simulation as messages: named arrays, cut into parts that are not too long, and put together again.

A state is written rarely and has some megabytes at most, so this codec is in Python; only the checksum is native. The
layout is the message StatePart of pseudofeed.sbe.xml, explained in docs/wire.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._encode import crc32
from pseudofeed.errors import MalformedMessage
from pseudofeed.records import STATE

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MAXIMUM_PART", "StatePart", "StateRecord", "decode_state", "encode_state", "peek_state"]

MAXIMUM_PART = 512 << 10

_HEAD = struct.Struct("<HHHHQqIIIIII")  # SBE header; fingerprint, step, partition, checksum; version, set, part, parts
_GROUP = struct.Struct("<HH")
_OFFSET = struct.Struct("<Iq")  # partition, offset; then the topic
_ARRAY = struct.Struct("<Bqq")  # type, values of the whole array, the first of them here; then name and bytes
_SHORT, _LONG = struct.Struct("<H"), struct.Struct("<I")

_SCHEMA, _CHECKSUM_AT, _PREFIX = 1, 28, 32
_ROOT_SIZE = _HEAD.size - 8

# ArrayType of the schema.
_TYPES = {1: "<f8", 2: "<i8", 3: "<i4", 4: "<u4", 5: "<u8", 6: "|u1"}
_CODES = {np.dtype(text): code for code, text in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class StatePart:
    """The header of one message: part `part` of `parts` of the state after `step`."""

    fingerprint: int
    step: int
    version: int
    key_set: int
    part: int
    parts: int


@dataclass(frozen=True, slots=True, eq=False)
class StateRecord:
    """A complete state after `step`. version: of the meaning of the arrays. key_set: 0 or 1, which of the two
    alternating sets of keys it was written under. arrays: by name, (n,) each. offsets: by topic, int64 (partitions,),
    the next offset to be written after that step."""

    step: int
    version: int
    key_set: int
    arrays: Mapping[str, NDArray[Any]]
    offsets: Mapping[str, NDArray[np.int64]]


def encode_state(
    arrays: Mapping[str, NDArray[Any]],
    *,
    fingerprint: int,
    step: int,
    version: int,
    key_set: int,
    offsets: Mapping[str, NDArray[np.int64]],
) -> list[tuple[bytes, bytes]]:
    """The state as messages of the topic `state.<market>`: keys and values, at most 512 KiB each.

    arrays: one-dimensional, of float64, int64, int32, uint32, uint64 or uint8; every value keeps its bits. Names and
    topics are short texts. Raises ValueError if an array has another form, or a number is out of range.
    """
    if key_set not in (0, 1) or step < 1 or not 0 <= version < 2**32:
        raise ValueError(f"key_set is {key_set}, step {step}, version {version}; 0 or 1, at least 1, and 32 bits")
    places = [
        _OFFSET.pack(partition, int(offset)) + _text(topic)
        for topic, own in offsets.items()
        for partition, offset in enumerate(own)
    ]
    bodies = _bodies(arrays, _Body(places))
    head = [_ROOT_SIZE, STATE.template, _SCHEMA, 0, fingerprint, step, 0, 0, version, key_set]
    messages = []
    for part, body in enumerate(bodies):
        message = bytearray(_HEAD.pack(*head, part, len(bodies)) + body.encode())
        _LONG.pack_into(message, _CHECKSUM_AT, _checksum(memoryview(message)))
        messages.append((f"{key_set}.{part}".encode(), bytes(message)))
    return messages


def peek_state(message: Buffer) -> StatePart:
    """The header of one message, after a check of header and checksum. Raises MalformedMessage."""
    view = memoryview(message).cast("B")
    if len(view) < _HEAD.size:
        raise MalformedMessage(f"state of {len(view)} bytes, expected a header of at least {_HEAD.size}")
    root, template, schema, _, fingerprint, step, _, checksum, version, key_set, part, parts = _HEAD.unpack_from(view)
    if schema != _SCHEMA or template != STATE.template or root < _ROOT_SIZE:
        raise MalformedMessage(
            f"not a state: schemaId, templateId and blockLength are {schema}, {template} and {root}, expected "
            f"{_SCHEMA}, {STATE.template} and {_ROOT_SIZE}"
        )
    if _checksum(view) != checksum:
        raise MalformedMessage(f"state is damaged: its {len(view)} bytes do not have the checksum {checksum:08x}")
    if step < 1 or key_set > 1 or not part < parts:
        raise MalformedMessage(f"state of step {step}, key set {key_set}, part {part} of {parts}: out of range")
    return StatePart(fingerprint, step, version, key_set, part, parts)


def decode_state(parts: Sequence[Buffer], *, fingerprint: int) -> StateRecord:
    """Put a state together from all of its messages, in any order.

    Raises MalformedMessage if a message is damaged, of another market or of another state than the first, if one is
    missing or duplicate, or if an array has gaps. `.index` is the message's index, if one message is to blame.
    """
    first: StatePart | None = None
    bodies: dict[int, _Read] = {}
    for index, message in enumerate(parts):
        try:
            part = peek_state(message)
            first = first or part
            if part.fingerprint != fingerprint:
                raise MalformedMessage(
                    f"state of another market: its fingerprint is {part.fingerprint:016x}, expected {fingerprint:016x}"
                )
            if _of_state(part) != _of_state(first) or part.part in bodies:
                raise MalformedMessage(
                    f"part {part.part} of {part.parts} of step {part.step} does not belong to the others"
                )
            bodies[part.part] = _Read(memoryview(message).cast("B"))
        except MalformedMessage as problem:
            problem.index = index
            raise
    if first is None or len(bodies) != first.parts:
        raise MalformedMessage(f"the state is not complete: {len(bodies)} of {first.parts if first else '?'} parts")
    arrays: dict[str, _Array] = {}
    offsets: dict[str, list[int]] = {}
    for _, body in sorted(bodies.items()):
        body.add_to(arrays, offsets)
    return StateRecord(
        step=first.step,
        version=first.version,
        key_set=first.key_set,
        arrays={name: array.whole(name) for name, array in arrays.items()},
        offsets={topic: np.array(values, np.int64) for topic, values in offsets.items()},
    )


def _of_state(part: StatePart) -> tuple[int, int, int, int]:
    return part.step, part.version, part.key_set, part.parts


def _checksum(message: memoryview) -> int:
    return crc32(message[_PREFIX:], crc32(message[:_CHECKSUM_AT]))


def _text(text: str) -> bytes:
    data = text.encode()
    if not 0 < len(data) < 256:
        raise ValueError(f"{text!r} has {len(data)} bytes; a name or topic has 1 to 255")
    return _SHORT.pack(len(data)) + data


# --- writing ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Body:
    """The groups of one message, being filled. Only the first part has the offsets."""

    offsets: Sequence[bytes] = ()
    arrays: list[bytes] = field(default_factory=list)

    def encode(self) -> bytes:
        head = _GROUP.pack(_OFFSET.size, len(self.offsets))
        return b"".join([head, *self.offsets, _GROUP.pack(_ARRAY.size, len(self.arrays)), *self.arrays])

    @property
    def room(self) -> int:
        return MAXIMUM_PART - _HEAD.size - 2 * _GROUP.size - sum(map(len, (*self.offsets, *self.arrays)))


def _bodies(arrays: Mapping[str, NDArray[Any]], first: _Body) -> list[_Body]:
    bodies = [first]
    for name, array in arrays.items():
        code = _CODES.get(array.dtype.newbyteorder("<") if array.dtype.itemsize > 1 else array.dtype)
        if code is None or array.ndim != 1:
            raise ValueError(
                f"state array {name} is {array.dtype} {array.shape}; it must be one-dimensional, of {_TYPES}"
            )
        data = np.ascontiguousarray(array).astype(_TYPES[code], copy=False).tobytes()
        size, at = array.dtype.itemsize, 0
        around = _ARRAY.size + len(_text(name)) + _LONG.size
        while True:
            fits = (bodies[-1].room - around) // size
            if fits < 1 and (at < len(array) or fits < 0):
                if (not bodies[-1].arrays and len(bodies) > 1) or bodies[-1].room < 0:
                    raise ValueError(f"the offsets of a state do not fit {MAXIMUM_PART} bytes")
                bodies.append(_Body())
                continue
            count = min(fits, len(array) - at)
            piece = data[at * size : (at + count) * size]
            bodies[-1].arrays.append(_ARRAY.pack(code, len(array), at) + _text(name) + _LONG.pack(len(piece)) + piece)
            at += count
            if at == len(array):
                break
    return bodies


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Array:
    """The values of an array found so far."""

    dtype: np.dtype[Any]
    length: int
    pieces: list[bytes] = field(default_factory=list)
    found: int = 0

    def whole(self, name: str) -> NDArray[Any]:
        if self.found != self.length:
            raise MalformedMessage(f"state array {name} has {self.found} of {self.length} values")
        data = np.frombuffer(b"".join(self.pieces), self.dtype)
        return data.astype(self.dtype.newbyteorder("="))


class _Read:
    """A position in a message with a correct checksum. Its content may still be wrong by a writer's mistake."""

    def __init__(self, message: memoryview) -> None:
        self._message = message
        self._at = 8 + int(_SHORT.unpack_from(message)[0])
        self._offsets: list[tuple[str, int, int]] = []
        self._arrays: list[tuple[str, int, int, int, bytes]] = []
        for _ in range(self._group(_OFFSET)):
            partition, offset = self._entry(_OFFSET)
            self._offsets.append((self._text(), partition, offset))
        for _ in range(self._group(_ARRAY)):
            code, length, first = self._entry(_ARRAY)
            name = self._text()
            self._arrays.append((name, code, length, first, bytes(self._take(*self._unpack(_LONG)))))
        if self._at != len(message):
            raise MalformedMessage(f"state: {len(message) - self._at} bytes behind its end at byte {self._at}")

    def add_to(self, arrays: dict[str, _Array], offsets: dict[str, list[int]]) -> None:
        for topic, partition, offset in self._offsets:
            own = offsets.setdefault(topic, [])
            if partition != len(own) or offset < 0:
                raise MalformedMessage(
                    f"state: offset {offset} of {topic} partition {partition} after {len(own)} others"
                )
            own.append(offset)
        for name, code, length, first, data in self._arrays:
            if code not in _TYPES:
                raise MalformedMessage(f"state array {name} has the unknown type {code}")
            array = arrays.setdefault(name, _Array(np.dtype(_TYPES[code]), length))
            values, rest = divmod(len(data), array.dtype.itemsize)
            if array.dtype != np.dtype(_TYPES[code]) or (length, first, rest) != (array.length, array.found, 0):
                raise MalformedMessage(
                    f"state array {name}: values {first} to {first + values - 1} of {length} do not follow on from "
                    f"{array.found} of {array.length}"
                )
            array.pieces.append(data)
            array.found += values

    def _group(self, entry: struct.Struct) -> int:
        self._block_length, count = self._unpack(_GROUP)
        if self._block_length < entry.size:
            raise MalformedMessage(f"state: blockLength of a group is {self._block_length}, expected {entry.size}")
        return int(count)

    def _entry(self, entry: struct.Struct) -> tuple[int, ...]:
        return entry.unpack_from(self._take(self._block_length))

    def _text(self) -> str:
        try:
            return str(self._take(*self._unpack(_SHORT)), "utf-8")
        except UnicodeDecodeError:
            raise MalformedMessage(f"state: a name before byte {self._at} is not UTF-8") from None

    def _unpack(self, what: struct.Struct) -> tuple[int, ...]:
        return what.unpack(self._take(what.size))

    def _take(self, size: int) -> memoryview:
        begin, self._at = self._at, self._at + size
        if self._at > len(self._message):
            raise MalformedMessage(f"state ends at byte {len(self._message)}, expected {size} bytes at byte {begin}")
        return self._message[begin : self._at]
