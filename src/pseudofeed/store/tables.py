"""Creates the tables of records, as their kinds declare them: hypertables, or partitioned tables of plain PostgreSQL.

Missing tables are created when the schema is updated, so a new kind needs no SQL. Their chunks are created ahead of the
rows (chunks.py); the interval that a hypertable gets here is used only by INSERTs that do not come
from pseudofeed.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from pseudofeed.records import Key, Kind, RowTable, Shape, row_tables

__all__ = ["copy_statement", "make_tables", "readable_tables"]

# The table with the names, its alias, the column, and its name in the view.
_NAMES = {Key.INSTRUMENT: ("instrument", "symbol", "symbol"), Key.FACTOR: ("factor", "name", "factor")}


def copy_statement(kind: Kind) -> bytes:
    """COPY of the rows that `encode_copy_rows` makes."""
    assert kind.table is not None
    columns = ", ".join(column.name for column in kind.row_columns)
    return f"COPY {kind.table.name} ({columns}) FROM STDIN (FORMAT binary)".encode()


def readable_tables() -> tuple[str, ...]:
    """Tables of records and their views."""
    return tuple(name for _, table in row_tables() for name in (table.name, table.view))


def make_tables(connection: psycopg.Connection, *, hypertables: bool) -> None:
    """Create missing tables, in the current transaction. Raises psycopg.Error."""
    for kind, table in row_tables():
        known = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table.name,)).fetchone()
        if known is None or not known[0]:
            _make(connection, kind, table, hypertables=hypertables)


def _make(connection: psycopg.Connection, kind: Kind, table: RowTable, *, hypertables: bool) -> None:
    name, key = sql.Identifier(table.name), sql.Identifier(kind.key_column)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {} NOT NULL").format(sql.Identifier(column.name), sql.SQL(column.sql))
        for column in kind.row_columns
    )
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}){}").format(
            name, columns, sql.SQL("" if hypertables else " PARTITION BY RANGE (time)")
        )
    )
    if hypertables:
        found = connection.execute(
            "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
            "WHERE e.extname = 'timescaledb'"
        ).fetchone()
        assert found is not None
        connection.execute(
            sql.SQL(
                "SELECT {}.create_hypertable(%s::regclass, 'time', create_default_indexes => false, "
                "chunk_time_interval => interval '1 day')"
            ).format(sql.Identifier(found[0])),
            (table.name,),
        )
    else:
        connection.execute(sql.SQL("CREATE INDEX ON {} USING brin (time)").format(name))
        _make_partition_list(connection, table.name)
    if not table.index_by_chunk:
        connection.execute(sql.SQL("CREATE INDEX ON {} ({}, time)").format(name, key))
    _comment(connection, "TABLE", name, f"{table.doc}; written by pseudofeed store and backfill")
    for column in kind.row_columns:
        _comment(connection, "COLUMN", sql.Identifier(table.name, column.name), column.comment)
    _make_view(connection, kind, table)


def _make_partition_list(connection: psycopg.Connection, table: str) -> None:
    name = sql.Identifier(f"{table}_partition")
    connection.execute(
        sql.SQL(
            """CREATE TABLE {} (
                   name text PRIMARY KEY, range_start timestamptz NOT NULL, range_end timestamptz NOT NULL,
                   CHECK (range_start < range_end),
                   EXCLUDE USING gist (tstzrange(range_start, range_end) WITH &&))"""
        ).format(name)
    )
    _comment(connection, "TABLE", name, f"The partitions of {table}: from range_start up to, without, range_end")


def _make_view(connection: psycopg.Connection, kind: Kind, table: RowTable) -> None:
    """The view with names instead of ids, for people in psql."""
    own = [column.name for column in kind.row_columns if column.name != kind.key_column]
    head, joins, example = "m.name AS market", "JOIN market m USING (market_id)", "WHERE market = 'demo'"
    if kind.key in _NAMES:
        holder, column, called = _NAMES[kind.key]
        head += f", n.{column} AS {called}"
        joins = f"JOIN {holder} n USING ({kind.key_column}) {joins}"
        example += f" AND {called} = '{'ALFA' if kind.key is Key.INSTRUMENT else 'market'}'"
    values = ", ".join(f"r.{name}" for name in own)
    view = sql.Identifier(table.view)
    query = f"AS SELECT {head}, {values} FROM {table.name} r {joins}"
    connection.execute(sql.SQL("CREATE VIEW {} {}").format(view, sql.SQL(query)))
    order = "step, event" if kind.shape is Shape.EVENTS else "time"
    query = f"SELECT * FROM {table.view} {example} ORDER BY {order} LIMIT 10"
    _comment(connection, "VIEW", view, f"The table {table.name} by name: {query}")


def _comment(connection: psycopg.Connection, what: str, name: sql.Identifier, text: str) -> None:
    connection.execute(sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(what), name, sql.Literal(text)))
