"""The store against the simulation: all rows of a kind of record, window of time after window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.records import TICK, Columns, Kind, Shape
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.claims import read_claims
from pseudofeed.store.backfill.steps import merge
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.history import read_window
from pseudofeed.store.quarantine import count_quarantined
from pseudofeed.store.registry import StoredMarket, find_stored_market
from pseudofeed.store.settings import kept_from
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import StageTally

__all__ = ["compare_postgres", "newest_postgres"]

_STAGE = "postgres"


def newest_postgres(record: MarketRecord, connections: Connections, kinds: Sequence[Kind]) -> int:
    """The newest step that half of the members of the first of these kinds have a row of; 0 where there is none.

    Not the newest row: one with a foreign time would say how long the whole market is. Where a backfill wrote rows,
    which are not the stream's, it is the newest step that the stream's offsets have.
    """
    kind = kinds[0]
    assert kind.table is not None
    with _reading(record, connections) as (connection, stored):
        if stored is None:
            return 0
        if read_claims(connection, stored):
            newest = connection.execute(
                "SELECT max(last_sequence) FROM sink_offset WHERE market_id = %s AND kind = %s",
                (stored.market_id, kind.name),
            ).fetchone()
            return 0 if newest is None or newest[0] is None else int(newest[0])
        ids = stored.ids_of(kind)
        query = sql.SQL(
            """SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch FROM newest.time) * 1000000)::int8)
               FROM generate_series(%s::int4, %s::int4) AS i (id) CROSS JOIN LATERAL
               (SELECT time FROM {} WHERE {} = i.id ORDER BY time DESC LIMIT 1) newest"""
        ).format(sql.Identifier(kind.table.name), sql.Identifier(kind.key_column))
        row = connection.execute(query, (int(ids[0]), int(ids[-1]))).fetchone()
        return 0 if row is None or row[0] is None else max(0, record.market.clock.step_at(int(row[0]) * 1_000))


def compare_postgres(
    record: MarketRecord, connections: Connections, kind: Kind, tally: StageTally, last_step: int
) -> None:
    """Compare all rows of a kind: of the steps 1 to `last_step`, and those that were backfilled. Rows of others, and
    between steps, are unexpected. What the market's retention has dropped is not looked for.
    """
    assert kind.table is not None
    market = record.market
    members = np.arange(len(kind.key.names(market)))
    with _reading(record, connections) as (connection, stored):
        if stored is None:
            Comparison(market, members, stage=_STAGE, tally=tally, last_step=last_step, kind=kind).finish()
            return
        claims = read_claims(connection, stored)
        backfilled = merge(part for claim in claims for part in claim.done)
        tally.quarantined = count_quarantined(connection, stored.market_id, kind.topic_of(market.name))
        if kind is TICK:  # of the whole market: reported once
            tally.backfilled = backfilled
            tally.unfinished = sum(last - first + 1 for claim in claims for first, last in claim.left(1, claim.last))
        kept_ns = kept_from(connection, stored)
        first_step = 1 if kept_ns is None else market.clock.step_at(kept_ns - 1) + 1
        where = f"table {kind.table.name}"
        # Windows also cover the steps before, between and after these ranges: nothing may be there.
        ranges = merge((max(first_step, first), last) for first, last in ((1, last_step), *backfilled))
        start_ns = kept_ns
        for first, last in ranges:
            comparison = Comparison(
                market, members, stage=_STAGE, tally=tally, first_step=first, last_step=last, kind=kind
            )
            while (block := comparison.window()) is not None:
                end_ns = int(block.time[-1]) + 1
                rows = read_window(connection, stored, kind, start_ns=start_ns, end_ns=end_ns)
                comparison.add(_sequenced(rows, block.time, block.first_step), lambda _index: where)
                start_ns = end_ns
            comparison.finish()
        behind = Comparison(market, members, stage=_STAGE, tally=tally, last_step=0, kind=kind)
        rows = read_window(connection, stored, kind, start_ns=start_ns, end_ns=None)
        behind.add(_sequenced(rows, np.empty(0, np.int64), 0), lambda _index: where)
        behind.finish()


def _sequenced(rows: Columns, time: NDArray[np.int64], first_step: int) -> Columns:
    """Rows of a dense kind with the steps whose times they carry; -1 for a time that is none of `time`. Events have
    their steps."""
    if rows.kind.shape is not Shape.DENSE:
        return rows
    index = np.searchsorted(time, rows.time)
    sequence = np.full(len(rows), -1, dtype=np.int64)
    within = index < len(time)
    exact = np.flatnonzero(within)
    exact = exact[time[index[exact]] == rows.time[exact]]
    sequence[exact] = first_step + index[exact]
    return rows.with_sequence(sequence)


@contextmanager
def _reading(
    record: MarketRecord, connections: Connections
) -> Iterator[tuple[psycopg.Connection, StoredMarket | None]]:
    """A connection and the market in the store, if it is there; psycopg's errors become ours."""
    try:
        connection = open_connection(connections, application=f"pseudofeed verify {record.name}", writer=False)
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
    try:
        try:
            stored = find_stored_market(connection, record.name)
        except psycopg.errors.UndefinedTable:  # nothing was ever stored in this database
            stored = None
        yield connection, stored
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
    finally:
        connection.close()
