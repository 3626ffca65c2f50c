"""The SBE message of an event kind, by its declaration: for a test-only copy of the schema, and to compare with."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from pseudofeed.records import Kind
from reference.sbe import NAMESPACE, SCHEMA

_PREFIX = (
    ("fingerprint", "Fingerprint"),
    ("firstSequence", "Sequence"),
    ("partition", "Partition"),
    ("checksum", "Checksum"),
)
_ROOT = (("steps", "Count"), ("firstEvent", "Number"), ("more", "Flag"))
_HEAD = (("time", "Time"), ("number", "InstrumentNumber"), ("step", "StepOffset"), ("eventNumber", "EventNumber"))


def message_name(kind: Kind) -> str:
    return f"{kind.name.capitalize()}Block"


def schema_with(kind: Kind, package: str) -> str:
    """Our schema with the message of one more event kind, and another package for the classes made of it."""
    ET.register_namespace("sbe", NAMESPACE[1:-1])
    schema = ET.parse(SCHEMA).getroot()
    schema.set("package", package)
    types = schema.find("types")
    assert types is not None
    message = ET.SubElement(
        schema, f"{NAMESPACE}message", name=message_name(kind), id=str(kind.template), description=kind.doc
    )
    for number, (name, type_) in enumerate((*_PREFIX, *_ROOT), 1):
        ET.SubElement(message, "field", name=name, id=str(number), type=type_)
    group = ET.SubElement(message, "group", name="events", id="20", dimensionType="groupSizeEncoding")
    for number, (name, type_) in enumerate(_HEAD, 21):
        ET.SubElement(group, "field", name=name, id=str(number), type=type_)
    for number, field in enumerate(kind.fields, 21 + len(_HEAD)):
        type_ = f"{kind.name}_{field.name}"
        made = ET.SubElement(types, "type", name=type_, primitiveType=field.type.sbe, description=field.doc)
        if field.type.sbe == "char":
            made.set("length", str(np.dtype(field.type.numpy).itemsize))
            made.set("characterEncoding", "UTF-8")
        ET.SubElement(group, "field", name=field.name, id=str(number), type=type_)
    return ET.tostring(schema, encoding="unicode")
