"""Removes a market from the store: drops chunks with no other market's rows, and deletes its rows in shared ones."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pseudofeed.records import row_tables
from pseudofeed.store.chunk_list import stored_chunks
from pseudofeed.store.schema import Tier, find_tier, lock_schema, migrate

__all__ = ["Forgotten", "forget_market", "knows_market"]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """chunks: dropped whole. rows: deleted from the others."""

    chunks: int
    rows: int


def knows_market(connection: psycopg.Connection, name: str) -> bool:
    known = connection.execute("SELECT to_regclass('market') IS NOT NULL").fetchone()
    if known is None or not known[0]:
        return False
    return connection.execute("SELECT FROM market WHERE name = %s", (name,)).fetchone() is not None


def forget_market(connection: psycopg.Connection, name: str) -> Forgotten:
    """Remove a market with all its data, in one transaction; writers of other markets wait for it.

    Raises StoreError if the schema is newer than this program, psycopg.Error if the server refuses.
    """
    migrate(connection)
    tier = find_tier(connection)
    chunks = rows = 0
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        lock_schema(connection)
        found = connection.execute("SELECT market_id FROM market WHERE name = %s", (name,)).fetchone()
        if found is None:
            return Forgotten(0, 0)
        for kind, table in row_tables():
            # No session may write into a chunk between the check and the drop.
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(table.name)))
            key = kind.key_column
            ids = connection.execute(
                # The table that has the members is named as they are: instrument, factor, market.
                sql.SQL("SELECT min({0}), max({0}) FROM {1} WHERE market_id = %s").format(
                    sql.Identifier(key), sql.Identifier(kind.key.value)
                ),
                found,
            ).fetchone()
            if ids is None or ids[0] is None:
                continue
            for chunk in stored_chunks(connection, tier, table.name):
                whole, deleted = _empty(connection, tier, table.name, key, chunk.begin, chunk.end, *ids)
                chunks += whole
                rows += deleted
        for holder in ("quarantine", "sink_offset", "backfill", "instrument", "factor", "market_close", "market"):
            query = sql.SQL("DELETE FROM {} WHERE market_id = %s").format(sql.Identifier(holder))
            rows += connection.execute(query, found).rowcount
    return Forgotten(chunks, rows)


def _empty(
    connection: psycopg.Connection,
    tier: Tier,
    table: str,
    key: str,
    begin: datetime.datetime,
    end: datetime.datetime,
    first: int,
    last: int,
) -> tuple[int, int]:
    """(1 if the chunk was dropped, rows deleted from it otherwise)."""
    place = sql.SQL("FROM {} WHERE time >= %s AND time < %s AND").format(sql.Identifier(table))
    column = sql.Identifier(key)
    ours = connection.execute(
        sql.SQL("SELECT EXISTS (SELECT {} {} BETWEEN %s AND %s), EXISTS (SELECT {} {} NOT BETWEEN %s AND %s)").format(
            place, column, place, column
        ),
        (begin, end, first, last) * 2,
    ).fetchone()
    assert ours is not None
    if not ours[0]:
        return 0, 0
    if ours[1]:
        delete = sql.SQL("DELETE {} {} BETWEEN %s AND %s").format(place, column)
        return 0, connection.execute(delete, (begin, end, first, last)).rowcount
    if tier.has_hypertables:
        connection.execute(
            "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz, newer_than => %s::timestamptz)",
            (table, end, begin),
        )
        return 1, 0
    remove = sql.SQL("DELETE FROM {} WHERE range_start = %s RETURNING name")
    gone = connection.execute(remove.format(sql.Identifier(f"{table}_partition")), (begin,)).fetchone()
    assert gone is not None
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(gone[0])))
    return 1, 0
