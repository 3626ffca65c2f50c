"""The wire's messages, slowly and by the schema alone: pseudofeed.sbe.xml put into struct and zlib.

What encodes and decodes here knows no message: field by field it does what the schema says, as sbe-tool's classes do.
A group's entry may have var-data behind its fields; its values are `bytes`.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = Path(__file__).parents[2] / "src" / "pseudofeed" / "encode" / "pseudofeed.sbe.xml"
FORMATS = {
    "char": "s", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q",
    "uint64": "Q", "double": "d",
}  # fmt: skip
HEADER = struct.Struct("<HHHH")  # blockLength, templateId, schemaId, version
NAMESPACE = "{http://fixprotocol.io/2016/sbe}"

Values = Mapping[str, Any]


class Layout(NamedTuple):
    """Fields that stand side by side, little-endian and without padding."""

    names: list[str]
    form: struct.Struct


class Group(NamedTuple):
    """head: blockLength and numInGroup. data: var-data by name, with the form of its length."""

    fields: Layout
    head: struct.Struct
    data: dict[str, struct.Struct]


class Message(NamedTuple):
    name: str
    fields: dict[str, Any]
    groups: dict[str, list[dict[str, Any]]]


class Template(NamedTuple):
    name: str
    number: int
    root: Layout
    groups: dict[str, Group]


def templates(schema: ET.Element) -> dict[str, Template]:
    """The messages of a schema by name."""
    forms: dict[str, str] = {}
    for element in schema.findall("types/type"):
        size = element.get("length") or ""
        forms[element.get("name") or ""] = size + FORMATS[element.get("primitiveType") or ""]
    for element in schema.findall("types/enum"):
        forms[element.get("name") or ""] = FORMATS[element.get("encodingType") or ""]
    composites = {
        element.get("name"): "".join(FORMATS[part.get("primitiveType") or ""] for part in element.findall("type"))
        for element in schema.findall("types/composite")
    }

    def layout(element: ET.Element) -> Layout:
        fields = element.findall("field")
        form = "<" + "".join(forms[field.get("type") or ""] for field in fields)
        return Layout([field.get("name") or "" for field in fields], struct.Struct(form))

    def group(element: ET.Element) -> Group:
        head = struct.Struct("<" + composites[element.get("dimensionType")])
        data = {
            part.get("name") or "": struct.Struct("<" + composites[part.get("type")][0])
            for part in element.findall("data")
        }
        return Group(layout(element), head, data)

    return {
        message.get("name") or "": Template(
            message.get("name") or "",
            int(message.get("id") or 0),
            layout(message),
            {element.get("name") or "": group(element) for element in message.findall("group")},
        )
        for message in schema.findall(f"{NAMESPACE}message")
    }


TEMPLATES = templates(ET.parse(SCHEMA).getroot())


def checksum(message: bytes) -> int:
    return zlib.crc32(message[32:], zlib.crc32(message[:28]))


def signed(message: bytes) -> bytes:
    """The message with its checksum put in."""
    return message[:28] + struct.pack("<I", checksum(message)) + message[32:]


def encode(
    name: str,
    fields: Values,
    groups: Mapping[str, Sequence[Values]] | None = None,
    *,
    newer: bytes = b"",
    known: Mapping[str, Template] = TEMPLATES,
) -> bytes:
    """One message with its checksum. newer: what a newer version adds to the root block and to each entry."""
    template = known[name]

    def block(layout: Layout, values: Values) -> bytes:
        return layout.form.pack(*(values[name] for name in layout.names)) + newer

    message = HEADER.pack(template.root.form.size + len(newer), template.number, 1, 1 if newer else 0)
    message += block(template.root, {"checksum": 0, **fields})
    for name, group in template.groups.items():
        entries = (groups or {})[name]
        message += group.head.pack(group.fields.form.size + len(newer), len(entries))
        for entry in entries:
            message += block(group.fields, entry)
            message += b"".join(length.pack(len(entry[data])) + entry[data] for data, length in group.data.items())
    return signed(message)


def decode(message: bytes, known: Mapping[str, Template] = TEMPLATES) -> Message:
    """Raises ValueError where the message is damaged or none of ours."""
    root_length, number, schema, _ = HEADER.unpack_from(message)
    template = next((t for t in known.values() if t.number == number), None)
    if schema != 1 or template is None:
        raise ValueError(f"no message of pseudofeed: schemaId {schema}, templateId {number}")
    fields = dict(zip(template.root.names, template.root.form.unpack_from(message, 8), strict=True))
    groups: dict[str, list[dict[str, Any]]] = {}
    at = 8 + root_length
    for name, group in template.groups.items():
        length, count = group.head.unpack_from(message, at)
        at += group.head.size
        groups[name] = []
        for _ in range(count):
            entry = dict(zip(group.fields.names, group.fields.form.unpack_from(message, at), strict=True))
            at += length
            for data, form in group.data.items():
                (size,) = form.unpack_from(message, at)
                entry[data] = message[at + form.size : at + form.size + size]
                at += form.size + size
            groups[name].append(entry)
    if at != len(message) or fields.pop("checksum") != checksum(message):
        raise ValueError("a damaged message")
    return Message(template.name, fields, groups)
