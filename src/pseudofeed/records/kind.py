"""A kind of record is a declaration, which every stage reads.

Wire layout, NumPy arrays, COPY rows, tables, views, Arrow schemas and docs are derived from it, or tested against it.
So a new kind needs one declaration, and the function that computes its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pseudofeed.records.types import FieldType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pseudofeed.market import Market
    from pseudofeed.records.columns import Columns

__all__ = ["EVENT_HEAD", "Field", "Key", "Kind", "RowColumn", "RowTable", "Shape"]


class Key(Enum):
    """What a row describes: an instrument, a factor, or the market. The value is its word in tables, comments and
    messages.

    Rows of instruments are in the partition of their symbol; the topics of the other kinds have one partition.
    """

    INSTRUMENT = "instrument"
    FACTOR = "factor"
    MARKET = "market"

    def names(self, market: Market) -> tuple[str, ...]:
        """Names of the members, in order of their numbers."""
        if self is Key.INSTRUMENT:
            return market.symbols
        return market.factors.names if self is Key.FACTOR else (market.name,)


class Shape(Enum):
    """How many rows a step has, and so how messages hold them.

    DENSE: a row of every member in every step. EVENTS: any number of rows in a step. CHECKPOINT: named arrays after a
    step, of which only the newest count.
    """

    DENSE = "dense"
    EVENTS = "events"
    CHECKPOINT = "checkpoint"


EVENT_HEAD = (("time", "<i8"), ("number", "<u4"), ("step", "<u2"), ("event", "<u2"))
"""The fields that every entry of an event block begins with, as a NumPy dtype: 16 bytes. step: counted from the block's
first; event: counts the events of this number in this step, from 0."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value of each row. unit: "" if it has none. array: of a dense kind, the array of a simulated block with its
    values, (T, members)."""

    name: str
    type: FieldType
    doc: str
    unit: str = ""
    array: str = ""

    @property
    def comment(self) -> str:
        return f"{self.doc}, {self.unit}" if self.unit else self.doc


@dataclass(frozen=True, slots=True)
class RowTable:
    """The table with one row per record. view: the same with names instead of ids, for people. doc: its comment.
    index_by_chunk: the index is created chunk by chunk, after rows that arrive in bulk (store/chunk_index.py)."""

    name: str
    view: str
    doc: str
    index_by_chunk: bool = False


class RowColumn(NamedTuple):
    """A column of a row table. array: the array of `Columns` with its values; encoding: how they are encoded
    (encode/rows.py)."""

    name: str
    sql: str
    array: str
    encoding: str
    comment: str


# Codecs, the feed and the simulation know these dense kinds by name (encode/codecs.py, publish/producer.py).
_DENSE = ("tick", "factor")


def _always(market: Market) -> bool:
    del market
    return True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Kind:
    """A kind of record.

    name: of one record. topic: the topic is <topic>.<market>. doc: what a row is. template: the id of its SBE message.
    table: None if it is not stored. verified: compared with the simulation. retained: the store's retention drops old
    rows; otherwise all are kept. exists: whether a market has such records. events: of an event kind, a function that
    returns the rows of a simulated block for the members with these numbers, ascending by step, number and event.
    """

    name: str
    topic: str
    key: Key
    shape: Shape
    doc: str
    template: int
    fields: tuple[Field, ...] = ()
    table: RowTable | None = None
    verified: bool = True
    retained: bool = True
    exists: Callable[[Market], bool] = _always
    events: Callable[[Any, NDArray[np.int64]], Columns] | None = None

    def __post_init__(self) -> None:
        if self.shape is Shape.DENSE and self.name not in _DENSE:
            raise ValueError(f"kind {self.name}: only {' and '.join(_DENSE)} are dense; declare it as Shape.EVENTS")
        if self.shape is Shape.DENSE and [field.type.numpy for field in self.fields] != ["<f8", "<f8"]:
            raise ValueError(f"kind {self.name}: a dense block has two float64 a row, and so has its kind")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays in `Columns`: `time`, `sequence`, `number`, of events `event`, and its fields."""
        head = ("time", "sequence", "number") + (("event",) if self.shape is Shape.EVENTS else ())
        return head + tuple(field.name for field in self.fields)

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Their types, in the machine's byte order."""
        head = ["i8", "i8", "i4"] + (["u2"] if self.shape is Shape.EVENTS else [])
        return tuple(np.dtype(text).newbyteorder("=") for text in [*head, *(field.type.numpy for field in self.fields)])

    @property
    def entry(self) -> np.dtype[Any]:
        """An entry of its event block, packed: byte for byte an entry of the SBE group."""
        return np.dtype([*EVENT_HEAD, *((field.name, field.type.numpy) for field in self.fields)])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in a message, without the headers."""
        return 16 if self.shape is Shape.DENSE else self.entry.itemsize

    @property
    def key_column(self) -> str:
        """The id column of the kind's table."""
        return f"{self.key.value}_id"

    @property
    def row_columns(self) -> tuple[RowColumn, ...]:
        """The columns of the kind's table. PostgreSQL keeps microseconds: an event's last three digits have a column of
        their own."""
        owner = f"{self.key.value}.{self.key_column}"
        fields = [RowColumn(f.name, f.type.sql, f.name, f.type.copy, f.comment) for f in self.fields]
        if self.shape is Shape.DENSE:
            time = "The end of the step, UTC; whole microseconds, exactly the market's"
            return (
                RowColumn("time", "timestamptz", "time", "time", time),
                RowColumn(self.key_column, "int4", "number", "id", owner),
                *fields,
            )
        return (
            RowColumn("time", "timestamptz", "time", "microseconds", "When, UTC, without the last three digits"),
            RowColumn(self.key_column, "int4", "number", "id", owner),
            RowColumn("step", "int8", "sequence", "i8", "The step in which it happened"),
            RowColumn("event", "int4", "event", "u2", f"Its number among those of the {self.key.value} in the step"),
            RowColumn("nanosecond", "int2", "time", "nanoseconds", "The last three digits of its time, 0 to 999"),
            *fields,
        )

    def topic_of(self, market: str) -> str:
        return f"{self.topic}.{market}"
