"""The kinds of record, each declared once, in a module of its own. `KINDS` is the list that every stage goes by.

kind.py says what a declaration has, types.py which types a field can have, columns.py holds rows in memory, arrow.py
gives their Arrow schema. How to add a kind: CONTRIBUTING.md.
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
    """Those of which a market has records."""
    return tuple(kind for kind in KINDS if kind.exists(market))


def stored_kinds(market: Market) -> tuple[Kind, ...]:
    """Those of a market's that go into tables."""
    return tuple(kind for kind in kinds_of(market) if kind.table is not None)


def row_tables() -> tuple[tuple[Kind, RowTable], ...]:
    """All kinds that have a table, with it."""
    return tuple((kind, kind.table) for kind in KINDS if kind.table is not None)
