"""What the store has of a session: the part that a cache worker's cold start need not read from the topic.

Exact or not at all: the store's own offset says what it has, and the rows are counted.
"""

from __future__ import annotations

import logging

import numpy as np
import psycopg
from numpy.typing import NDArray

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.cache.quotes import SessionQuotes
from pseudofeed.errors import PseudofeedError
from pseudofeed.market.clock import Session
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.registry import StoredMarket, find_stored_market

__all__ = ["stored_session"]

_log = logging.getLogger("pseudofeed.cache")


def stored_session(
    connections: Connections,
    record: MarketRecord,
    topic: TopicInfo,
    partition: int,
    numbers: NDArray[np.intp],
    session: Session,
) -> tuple[SessionQuotes, int] | None:
    """The session's quotes of a partition's instruments as far as the store has them, and the offset where it goes on;
    None without a store, or where it has not the whole of the session's beginning."""
    if connections.postgres is None:
        return None
    try:
        with open_connection(connections, application="pseudofeed cache", writer=False) as connection:
            market = find_stored_market(connection, record.name)
            if market is None or (market.record.epoch, market.record.fingerprint) != (record.epoch, record.fingerprint):
                return None
            return _read(connection, market, topic, partition, numbers, session)
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.Error as problem:
        _log.warning("%s. The topic is read instead", store_error(problem, connections))
    except PseudofeedError as problem:
        _log.warning("%s. The topic is read instead", problem)
    return None


def _read(
    connection: psycopg.Connection,
    market: StoredMarket,
    topic: TopicInfo,
    partition: int,
    numbers: NDArray[np.intp],
    session: Session,
) -> tuple[SessionQuotes, int] | None:
    row = connection.execute(
        """SELECT next_offset, last_sequence FROM sink_offset
           WHERE market_id = %s AND kind = %s AND partition = %s AND topic_id IS NOT DISTINCT FROM %s""",
        (market.market_id, TICK.name, partition, topic.topic_id),
    ).fetchone()
    if row is None or row[1] is None:
        return None
    offset, last = row
    if not (
        session.first_step <= last <= session.last_step and topic.low[partition] <= offset <= topic.high[partition]
    ):
        return None
    clock = market.record.market.clock
    begin_ns, end_ns = int(clock.times(session.first_step, 1)[0]), int(clock.times(last, 1)[0])
    begin, end = (f"{np.datetime64(time_ns // 1000, 'us')}+00" for time_ns in (begin_ns, end_ns))
    ids = market.instrument_ids[numbers].tolist()
    rows = connection.execute(
        """SELECT r.ticks, n.price, n.variance, o.price, r.high, r.low
           FROM (SELECT instrument_id, count(*) AS ticks, max(price) AS high, min(price) AS low FROM tick
                 WHERE instrument_id = ANY (%(ids)s) AND time BETWEEN %(begin)s::timestamptz AND %(end)s::timestamptz
                 GROUP BY instrument_id) r
           JOIN tick n ON n.instrument_id = r.instrument_id AND n.time = %(end)s::timestamptz
           JOIN tick o ON o.instrument_id = r.instrument_id AND o.time = %(begin)s::timestamptz
           ORDER BY r.instrument_id""",
        {"ids": ids, "begin": begin, "end": end},
    ).fetchall()
    if len(rows) != len(ids) or any(ticks != last - session.first_step + 1 for ticks, *_ in rows):
        return None
    price, variance, opened, high, low = (np.array(column, np.float64) for column in list(zip(*rows, strict=True))[1:])
    state = SessionQuotes(
        numbers,
        np.full(len(ids), last, np.int64),
        np.full(len(ids), end_ns, np.int64),
        price,
        variance,
        opened,
        high,
        low,
    )
    return state, offset
