"""The store's tables: numbered SQL files, each applied once, and the tables of records, which tables.py makes.

The files are shipped in the package (pseudofeed/store/sql), from the repository's `sql/`. The tier of a database is
found by probing.

Tables are hypertables if the database has the extension timescaledb when the store is created, and otherwise use
PostgreSQL's own partitions. The tables themselves show which of the two it is, so an extension that is installed later
changes nothing.
"""

from __future__ import annotations

import re
from enum import Enum
from importlib import resources
from typing import NamedTuple

import psycopg
from psycopg import sql

from pseudofeed.errors import StoreError
from pseudofeed.records import row_tables
from pseudofeed.store.tables import make_tables, readable_tables

__all__ = ["READER", "Tier", "applied_files", "find_tier", "lock_schema", "migrate", "schema_files"]

# Of lock_schema; its number has no meaning.
_SCHEMA_LOCK = 7_364_110_401

READER = "pseudofeed_reader"
_READABLE = ("market", "instrument", "factor", "market_close", "sink_offset", "backfill", "quarantine", "migration")

_NAME = re.compile(r"(?P<number>\d{3})_(?P<name>\w+)\.sql")


class Tier(Enum):
    """How the database can store ticks; the value is the word in file names and messages."""

    TIMESCALEDB = "timescaledb"
    PLAIN = "plain"

    @property
    def has_hypertables(self) -> bool:
        return self is not Tier.PLAIN


class SchemaFile(NamedTuple):
    number: int
    name: str
    text: str


def schema_files() -> list[SchemaFile]:
    """All files of the schema, by number."""
    files = []
    for entry in resources.files("pseudofeed.store").joinpath("sql").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match is not None:
            text = entry.read_text(encoding="utf-8")
            files.append(SchemaFile(int(match["number"]), entry.name, text))
    if not files:
        raise StoreError("this installation of pseudofeed lacks its SQL files (pseudofeed/store/sql): install it again")
    return sorted(files, key=lambda file: file.number)


def find_tier(connection: psycopg.Connection) -> Tier:
    """The tier of the store, or, before there is one, of the database. Raises StoreError if its extension is gone."""
    row = connection.execute(
        """SELECT (SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)),
                  EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')""",
        (row_tables()[0][1].name,),
    ).fetchone()
    assert row is not None
    partitioned, extension = row
    if partitioned is False and not extension:
        raise StoreError(
            "the store's tables were created as hypertables, but the database no longer has the extension timescaledb: "
            "have an administrator restore it (and the tables with it), or use another database"
        )
    return Tier.PLAIN if (partitioned if partitioned is not None else not extension) else Tier.TIMESCALEDB


def lock_schema(connection: psycopg.Connection) -> None:
    """Wait for everybody else who changes the schema or assigns ids, until the end of this transaction.

    Its COMMIT waits for the disk, also if the database has synchronous_commit off: workers remember which market and
    chunks there are, so those must survive a crash of the server.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    connection.execute(
        """SELECT set_config('synchronous_commit', 'on', true)
           WHERE current_setting('synchronous_commit') IN ('off', 'local')"""
    )


def migrate(connection: psycopg.Connection) -> Tier:
    """Bring the schema up to date, in one transaction; several workers may do so at once. Returns the tier.

    Raises StoreError if the schema is newer than this program, or has another program's table of that name;
    psycopg.Error if the server refuses.
    """
    files = schema_files()
    newest = files[-1].number
    with connection.transaction():
        lock_schema(connection)
        applied = _applied(connection)
        if applied and max(applied) > newest:
            raise StoreError(
                f"the store's schema has number {max(applied)}, this version of pseudofeed knows up to {newest}: "
                f"install the version that made it, or a newer one"
            )
        tier = find_tier(connection)
        for file in files:
            if file.number not in applied:
                _apply(connection, file)
        make_tables(connection, hypertables=tier.has_hypertables)
        _let_readers_in(connection)
    return tier


def _apply(connection: psycopg.Connection, file: SchemaFile) -> None:
    # Our own files, sent unchanged: without parameters, so a percent sign is literal.
    connection.execute(file.text.encode())
    connection.execute("INSERT INTO migration (number, name) VALUES (%s, %s)", (file.number, file.name))


def applied_files(connection: psycopg.Connection) -> dict[int, str]:
    """number -> name of the applied files, by number; empty if there is no store."""
    known = connection.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone()
    if known is None or not known[0]:
        return {}
    return dict(connection.execute("SELECT number, name FROM migration ORDER BY number").fetchall())


def _let_readers_in(connection: psycopg.Connection) -> None:
    """Grant the readers' role, if it exists, missing privileges; an administrator may have created it just now."""
    names = [*_READABLE, *readable_tables()]
    row = connection.execute(
        """SELECT current_schema() FROM pg_roles
           WHERE rolname = %s AND EXISTS (SELECT FROM unnest(%s::text[]) t (name)
                                          WHERE NOT has_table_privilege(oid, t.name, 'SELECT'))""",
        (READER, names),
    ).fetchone()
    if row is None:
        return
    reader = sql.Identifier(READER)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(row[0]), reader))
    tables = sql.SQL(", ").join(map(sql.Identifier, names))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, reader))


def _applied(connection: psycopg.Connection) -> set[int]:
    """The applied numbers; creates their table if there is none."""
    row = connection.execute(
        """SELECT to_regclass('migration') IS NOT NULL,
                  (SELECT min(name) FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL)""",
        (["market", *(table.name for _, table in row_tables())],),
    ).fetchone()
    assert row is not None
    known, foreign = row
    if not known:
        if foreign is not None:
            raise StoreError(
                f"the database's default schema has a table {foreign} that pseudofeed did not create: give pseudofeed "
                f"a database or schema of its own"
            )
        connection.execute(
            "CREATE TABLE migration (number int4 PRIMARY KEY, name text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute("COMMENT ON TABLE migration IS 'The files of pseudofeed''s schema that were applied'")
    return {number for (number,) in connection.execute("SELECT number FROM migration")}
