"""The store against the simulation: all rows of the market's instruments and factors, window of time after window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
from numpy.typing import NDArray

from pseudofeed.encode.ticks import TickColumns
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.settings import Connections
from pseudofeed.store import series as store
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.history import StoredTicks, read_window
from pseudofeed.store.quarantine import count_quarantined
from pseudofeed.store.registry import StoredMarket, find_market
from pseudofeed.store.settings import kept_from
from pseudofeed.verify import compare
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import StageTally

__all__ = ["compare_postgres", "compare_postgres_factors", "newest_postgres"]

_STAGE = "postgres"


def newest_postgres(record: MarketRecord, connections: Connections) -> int:
    """The newest step that half of the instruments have a row of; 0 where there is none.

    Not the newest row: one with a foreign time would say how long the whole market is.
    """
    with _reading(record, connections) as (connection, stored):
        if stored is None:
            return 0
        row = connection.execute(
            """SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch FROM newest.time) * 1000000)::int8)
               FROM generate_series(%s::int4, %s::int4) AS i (id) CROSS JOIN LATERAL
               (SELECT time FROM tick WHERE instrument_id = i.id ORDER BY time DESC LIMIT 1) newest""",
            (int(stored.instrument_ids[0]), int(stored.instrument_ids[-1])),
        ).fetchone()
        return 0 if row is None or row[0] is None else max(0, record.market.clock.step_at(int(row[0]) * 1_000))


def compare_postgres(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare all rows; those before the first step, between steps or behind `last_step` are unexpected. What the
    market's retention has dropped is not looked for.
    """
    _compare(record, connections, store.TICKS, compare.TICKS, tally, last_step)


def compare_postgres_factors(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """The same of the factors' rows."""
    _compare(record, connections, store.FACTORS, compare.FACTORS, tally, last_step)


def _compare(
    record: MarketRecord,
    connections: Connections,
    table: store.Series,
    series: compare.Series,
    tally: StageTally,
    last_step: int,
) -> None:
    market = record.market
    members = np.arange(len(series.names(market)))
    with _reading(record, connections) as (connection, stored):
        if stored is not None and series is compare.TICKS:
            tally.quarantined = count_quarantined(connection, stored.market_id)
        kept_ns = None if stored is None else kept_from(connection, stored)
        first_step = 1 if kept_ns is None else market.clock.step_at(kept_ns - 1) + 1
        comparison = Comparison(
            market,
            members,
            stage=_STAGE,
            tally=tally,
            first_step=max(1, first_step),
            last_step=last_step,
            series=series,
        )
        start_ns = kept_ns
        while stored is not None:
            block = comparison.window()
            # The stretch before the first step and that behind the last are windows too: nothing may be there.
            end_ns = None if block is None else int(block.time[-1]) + 1
            rows = read_window(connection, stored, table, start_ns=start_ns, end_ns=end_ns)
            time = np.empty(0, np.int64) if block is None else block.time
            first_step = 0 if block is None else block.first_step
            comparison.add(_sequenced(rows, time, first_step), lambda _index: f"table {table.table}")
            if block is None:
                break
            start_ns = end_ns
        comparison.finish()


def _sequenced(rows: StoredTicks, time: NDArray[np.int64], first_step: int) -> TickColumns:
    """The rows with the steps whose times they carry; -1 for a time that is none of `time`."""
    index = np.searchsorted(time, rows.time)
    sequence = np.full(len(rows), -1, dtype=np.int64)
    within = index < len(time)
    exact = np.flatnonzero(within)
    exact = exact[time[index[exact]] == rows.time[exact]]
    sequence[exact] = first_step + index[exact]
    return TickColumns(rows.time, sequence, rows.instrument, rows.price, rows.variance)


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
            stored = find_market(connection, record.name)
        except psycopg.errors.UndefinedTable:  # nothing was ever stored in this database
            stored = None
        yield connection, stored
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
    finally:
        connection.close()
