"""The types that a field can have, with their names in NumPy, SBE, SQL and COPY."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLOAT64", "INT8", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "FieldType", "text"]


@dataclass(frozen=True, slots=True)
class FieldType:
    """numpy: its dtype, little-endian as on the wire. sbe: the primitive type. sql: the type of its column, the next
    larger one if PostgreSQL does not have it. copy: how its column is encoded (encode/rows.py)."""

    numpy: str
    sbe: str
    sql: str
    copy: str


FLOAT64 = FieldType("<f8", "double", "float8", "f8")
INT64 = FieldType("<i8", "int64", "int8", "i8")
INT32 = FieldType("<i4", "int32", "int4", "i4")
INT8 = FieldType("|i1", "int8", "int2", "i1")
UINT32 = FieldType("<u4", "uint32", "int8", "u4")
UINT16 = FieldType("<u2", "uint16", "int4", "u2")
UINT8 = FieldType("|u1", "uint8", "int2", "u1")


def text(size: int) -> FieldType:
    """UTF-8 of at most `size` bytes, padded with zeros."""
    return FieldType(f"|S{size}", "char", "text", "text")
