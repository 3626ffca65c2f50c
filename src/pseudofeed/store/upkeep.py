"""Drops old ticks, by the retention of each market.

Ages are measured from a market's newest tick, not by the wall clock: a market may be years in the past or run ahead. So
TimescaleDB's own policies, which use the wall clock only, are not used. Whole chunks are dropped, and the markets of a
database share them: a chunk is dropped when no market needs it any longer.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.records import row_tables
from pseudofeed.store.chunk_list import stored_chunks
from pseudofeed.store.schema import Tier, lock_schema
from pseudofeed.times import to_datetime

__all__ = ["Extent", "keep_up", "reached_step", "read_extents", "retention_end"]


@dataclass(frozen=True, slots=True)
class Extent:
    """A market's stored time, from its first tick to that which every partition has, and its retention."""

    begin: datetime.datetime
    end: datetime.datetime
    retention: datetime.timedelta | None


def read_extents(connection: psycopg.Connection) -> list[Extent]:
    """Of all markets. A market without ticks needs all later ones. A market that cannot be read (of another version)
    needs everything.
    """
    rows = connection.execute(
        """SELECT name, specification, partitions, epoch, fingerprint, retention, reached, done
           FROM market JOIN LATERAL (
               SELECT min(last_sequence) AS reached FROM sink_offset s
               WHERE s.market_id = market.market_id AND next_offset > 0) progress ON true
           JOIN LATERAL (
               SELECT array_agg(ARRAY[lower(part), upper(part) - 1] ORDER BY part) AS done
               FROM backfill b, unnest(b.done) AS part WHERE b.market_id = market.market_id) backfilled ON true"""
    ).fetchall()
    extents = []
    for name, specification, partitions, epoch, fingerprint, retention, reached, done in rows:
        record = MarketRecord(name, specification, partitions, epoch, int(fingerprint))
        try:
            clock = record.market.clock
        except Exception:  # whatever makes it unreadable, its ticks must not be dropped
            extents.append(Extent(to_datetime(0), to_datetime(0), None))
            continue
        first, last = clock.times(1, 1)[0], clock.times(max(1, reached_step(reached, done or [])), 1)[0]
        extents.append(Extent(to_datetime(int(first)), to_datetime(int(last)), retention))
    return extents


def reached_step(stream: int | None, done: Sequence[tuple[int, int]]) -> int:
    """The newest step that counts: where the stream is (None: there is none), or the end of what was backfilled and
    adjoins it; of a market without a stream, the end of what was backfilled first. What lies behind a gap does not
    count yet: else the stream's own way there would be too old already."""
    reached = stream
    for first, last in done:
        if reached is None or first <= reached + 1:
            reached = max(last, reached or 0)
    return reached or 0


def retention_end(extents: Sequence[Extent]) -> datetime.datetime | None:
    """The time before which no market needs ticks; None: nothing is to be dropped."""
    if all(extent.retention is None for extent in extents):
        return None
    return min(e.begin if e.retention is None else e.end - e.retention for e in extents)


def keep_up(connection: psycopg.Connection, tier: Tier) -> int:
    """Drop old chunks; returns how many. Outside a transaction. Raises psycopg.Error."""
    end = retention_end(read_extents(connection))
    if end is None:
        return 0
    return sum(_drop(connection, tier, table.name, end) for kind, table in row_tables() if kind.retained)


def _drop(connection: psycopg.Connection, tier: Tier, table: str, end: datetime.datetime) -> int:
    ends = [chunk.end for chunk in stored_chunks(connection, tier, table) if chunk.end <= end]
    if not ends:
        return 0
    with connection.transaction():
        lock_schema(connection)
        if tier.has_hypertables:
            connection.execute("SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)", (table, max(ends)))
        else:
            partitions = sql.Identifier(f"{table}_partition")
            gone = connection.execute(
                sql.SQL("DELETE FROM {} WHERE range_end <= %s RETURNING name").format(partitions), (max(ends),)
            ).fetchall()
            for (name,) in gone:
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        connection.execute(
            "UPDATE market SET dropped_before = greatest(dropped_before, %s) WHERE retention IS NOT NULL",
            (max(ends),),
        )
    return len(ends)
