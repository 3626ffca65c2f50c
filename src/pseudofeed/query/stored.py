"""A client's queries to the store, in SQL.

The text of a query is ours. Its values are numbers, and times that we have formatted: a user's symbol has already been
replaced by an instrument's id. Through psycopg each column arrives as one binary array (store/history.py), through ADBC
as Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from pseudofeed.errors import StoreError
from pseudofeed.records import FACTOR, TICK, Kind
from pseudofeed.store.history import column_types, read_columns, table_name, time_bounds
from pseudofeed.store.registry import StoredMarket

__all__ = ["BARS", "NEWEST", "TICKS", "bars_window", "read_bars", "read_factors", "read_newest", "window"]


def _fields(kind: Kind) -> str:
    return ", ".join(field.name for field in kind.fields)


TICKS = f"""SELECT time, {_fields(TICK)} FROM {table_name(TICK)}
WHERE {TICK.key_column} = %(id)s AND time >= %(start)s::timestamptz AND time < %(end)s::timestamptz ORDER BY time"""

# First and last price by the order of time: PostgreSQL computes the two array_agg, which are the same, once. A day of
# 23,400 ticks in 390 bars: 42 ms with two orders, 32 ms with one; joining the two prices back by their times 97 ms,
# TimescaleDB's first() and last() 30 ms (TimescaleDB 2.19, a busy machine).
# A tick at the close of trading belongs to the bar before it: it is binned by the microsecond before.
BARS = """SELECT opening, (array_agg(price ORDER BY time))[1] AS open, max(price) AS high, min(price) AS low,
       (array_agg(price ORDER BY time))[count(*)] AS close, count(*) AS ticks
FROM (SELECT time, price, date_bin(%(every)s * interval '1 microsecond',
                                   CASE WHEN time IN (SELECT time FROM market_close
                                                      WHERE market_id = %(market)s::int4)
                                        THEN time - interval '1 microsecond' ELSE time END,
                                   '1970-01-01 00:00:00+00') AS opening
      FROM tick
      WHERE instrument_id = %(id)s AND time >= %(start)s::timestamptz AND time < %(end)s::timestamptz) t
GROUP BY opening ORDER BY opening"""

# LATERAL: one index lookup for each instrument; DISTINCT ON would read all their ticks.
NEWEST = f"""SELECT t.* FROM unnest(%(ids)s::int4[]) AS i (id)
CROSS JOIN LATERAL (SELECT {TICK.key_column}, time, {_fields(TICK)} FROM {table_name(TICK)}
                    WHERE {TICK.key_column} = i.id ORDER BY time DESC LIMIT 1) t"""

FACTORS = f"""SELECT {FACTOR.key_column}, time, {_fields(FACTOR)} FROM {table_name(FACTOR)}
WHERE {FACTOR.key_column} IN (SELECT factor_id FROM factor WHERE market_id = %(market)s)
  AND time >= %(start)s::timestamptz AND time < %(end)s::timestamptz"""

_BAR_TYPES = {"opening": "timestamptz", **dict.fromkeys(("open", "high", "low", "close"), "float8"), "ticks": "int8"}


def window(start_ns: int | None, end_ns: int | None) -> dict[str, str]:
    """The values of start and end, for times with start <= time < end."""
    return dict(zip(("start", "end"), time_bounds(start_ns, end_ns), strict=True))


def bars_window(
    market: StoredMarket, instrument_id: int, every_ns: int, start_ns: int | None, end_ns: int | None
) -> dict[str, int | str]:
    """The values of BARS for bars that open at start <= time < end, both whole multiples of `every_ns`."""
    clock = market.record.market.clock
    # A tick at a close that is a bound belongs to the bar before the bound: not to the first one, but to the last.
    start_ns, end_ns = (
        bound if bound is None or not len(clock.closes(bound, bound)) else bound + 1_000 for bound in (start_ns, end_ns)
    )
    ids = {"market": market.market_id, "id": instrument_id}
    return {**ids, "every": every_ns // 1000, **window(start_ns, end_ns)}


def read_bars(connection: psycopg.Connection, values: Mapping[str, int | str]) -> list[NDArray[Any]]:
    """Opening times, open, high, low, close, ticks, by the values of `bars_window`. Raises psycopg.Error."""
    return read_columns(connection, BARS, values, _BAR_TYPES)


def read_newest(connection: psycopg.Connection, ids: NDArray[np.int32]) -> list[NDArray[Any]]:
    """Ids, times, prices and variances of the newest tick of each that has one. Raises psycopg.Error."""
    time, own_ids, *fields = read_columns(connection, NEWEST, {"ids": ids.tolist()}, column_types(TICK))
    return [own_ids, time, *fields]


def read_factors(
    connection: psycopg.Connection, market: StoredMarket, start_ns: int | None, end_ns: int | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Times (T,), increments and levels (T, K). Raises psycopg.Error, StoreError if the store has no factors."""
    values = {"market": market.market_id, **window(start_ns, end_ns)}
    try:
        found = read_columns(connection, FACTORS, values, column_types(FACTOR))
    except psycopg.errors.UndefinedTable:
        raise StoreError('this store has no factor levels; use source="simulation"') from None
    time, ids, increment, level = found
    order = np.lexsort((ids, time))
    factors = len(market.record.market.factors.names)
    if len(ids) % factors or (time[order][::factors] != time[order].reshape(-1, factors).T).any():
        raise StoreError('the store does not have every factor at each of these steps; use source="simulation"')
    shape = (-1, factors)
    return time[order][::factors], increment[order].reshape(shape), level[order].reshape(shape)
