"""The kinds of record, each declared once, in a module of its own. Every stage uses the list `KINDS`.

kind.py defines a declaration, types.py the types that a field can have, columns.py rows in memory, and arrow.py their
Arrow schema. How to add a kind: CONTRIBUTING.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pseudofeed.records._memory import ColumnMemory
from pseudofeed.records.columns import Columns
from pseudofeed.records.factor import FACTOR
from pseudofeed.records.kind import Field, Key, Kind, RowColumn, RowTable, Shape
from pseudofeed.records.state import STATE
from pseudofeed.records.tick import TICK

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = [
    "FACTOR",
    "KINDS",
    "STATE",
    "TICK",
    "ColumnMemory",
    "Columns",
    "Field",
    "Key",
    "Kind",
    "RowColumn",
    "RowTable",
    "Shape",
    "kinds_of",
    "row_tables",
    "stored_kinds",
]

KINDS: tuple[Kind, ...] = (TICK, FACTOR, STATE)
"""All kinds. Ticks come first: a market that has no topic of them was never fed."""


def kinds_of(market: Market) -> tuple[Kind, ...]:
    """The kinds that a market has records of."""
    return tuple(kind for kind in KINDS if kind.exists(market))


def stored_kinds(market: Market) -> tuple[Kind, ...]:
    """The kinds of a market that have tables."""
    return tuple(kind for kind in kinds_of(market) if kind.table is not None)


def row_tables() -> tuple[tuple[Kind, RowTable], ...]:
    """All kinds that have a table, each with its table."""
    return tuple((kind, kind.table) for kind in KINDS if kind.table is not None)
