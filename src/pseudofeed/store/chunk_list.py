"""The existing chunks of a table: TimescaleDB's, or PostgreSQL's partitions."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from pseudofeed.store.schema import Tier

__all__ = ["Chunk", "stored_chunks"]


class Chunk(NamedTuple):
    """name: of its table, as SQL has it. begin <= time < end."""

    name: str
    begin: datetime.datetime
    end: datetime.datetime
    compressed: bool


def stored_chunks(connection: psycopg.Connection, tier: Tier, table: str) -> list[Chunk]:
    """By time."""
    if tier.has_hypertables:
        rows = connection.execute(
            """SELECT format('%%I.%%I', chunk_schema, chunk_name), range_start, range_end, is_compressed
               FROM timescaledb_information.chunks
               WHERE hypertable_schema = current_schema() AND hypertable_name = %s ORDER BY range_start""",
            (table,),
        )
    else:
        partitions = sql.Identifier(f"{table}_partition")
        query = sql.SQL("SELECT quote_ident(name), range_start, range_end, false FROM {} ORDER BY range_start")
        rows = connection.execute(query.format(partitions))
    return [Chunk(*row) for row in rows]
