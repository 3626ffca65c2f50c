"""The wire's messages, slowly and by the schema alone: pseudofeed.sbe.xml put into struct and zlib.

What encodes and decodes here knows no message: field by field it does what the schema says, as sbe-tool's classes do.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = Path(__file__).parents[2] / "src" / "pseudofeed" / "encode" / "pseudofeed.sbe.xml"
FORMATS = {"uint16": "H", "uint32": "I", "uint64": "Q", "int64": "q", "double": "d"}
HEADER = struct.Struct("<HHHH")  # blockLength, templateId, schemaId, version
GROUP = struct.Struct("<HH")  # blockLength, numInGroup

Values = Mapping[str, Any]


class Layout(NamedTuple):
    """Fields that stand side by side, little-endian and without padding."""

    names: list[str]
    form: struct.Struct


class Message(NamedTuple):
    name: str
    fields: dict[str, Any]
    groups: dict[str, list[dict[str, Any]]]


class Template(NamedTuple):
    name: str
    number: int
    root: Layout
    groups: dict[str, Layout]


def _templates() -> dict[str, Template]:
    schema = ET.parse(SCHEMA).getroot()
    types = {element.get("name"): element.get("primitiveType") for element in schema.findall("types/type")}

    def layout(element: ET.Element) -> Layout:
        fields = element.findall("field")
        form = "<" + "".join(FORMATS[types[field.get("type")] or ""] for field in fields)
        return Layout([field.get("name") or "" for field in fields], struct.Struct(form))

    return {
        message.get("name") or "": Template(
            message.get("name") or "",
            int(message.get("id") or 0),
            layout(message),
            {group.get("name") or "": layout(group) for group in message.findall("group")},
        )
        for message in schema.findall("{http://fixprotocol.io/2016/sbe}message")
    }


TEMPLATES = _templates()


def checksum(message: bytes) -> int:
    return zlib.crc32(message[32:], zlib.crc32(message[:28]))


def signed(message: bytes) -> bytes:
    """The message with its checksum put in."""
    return message[:28] + struct.pack("<I", checksum(message)) + message[32:]


def encode(
    name: str, fields: Values, groups: Mapping[str, Sequence[Values]] | None = None, *, newer: bytes = b""
) -> bytes:
    """One message with its checksum. newer: what a newer version adds to the root block and to each entry."""
    template = TEMPLATES[name]

    def block(layout: Layout, values: Values) -> bytes:
        return layout.form.pack(*(values[name] for name in layout.names)) + newer

    message = HEADER.pack(template.root.form.size + len(newer), template.number, 1, 1 if newer else 0)
    message += block(template.root, {"checksum": 0, **fields})
    for group, layout in template.groups.items():
        entries = (groups or {})[group]
        message += GROUP.pack(layout.form.size + len(newer), len(entries))
        message += b"".join(block(layout, entry) for entry in entries)
    return signed(message)


def decode(message: bytes) -> Message:
    """Raises ValueError where the message is damaged or none of ours."""
    root_length, number, schema, _ = HEADER.unpack_from(message)
    template = next((t for t in TEMPLATES.values() if t.number == number), None)
    if schema != 1 or template is None:
        raise ValueError(f"no message of pseudofeed: schemaId {schema}, templateId {number}")
    fields = dict(zip(template.root.names, template.root.form.unpack_from(message, 8), strict=True))
    groups: dict[str, list[dict[str, Any]]] = {}
    at = 8 + root_length
    for group, layout in template.groups.items():
        length, count = GROUP.unpack_from(message, at)
        entries = [layout.form.unpack_from(message, at + 4 + k * length) for k in range(count)]
        groups[group] = [dict(zip(layout.names, entry, strict=True)) for entry in entries]
        at += 4 + length * count
    if at != len(message) or fields.pop("checksum") != checksum(message):
        raise ValueError("a damaged message")
    return Message(template.name, fields, groups)
