"""`pseudofeed run`: a whole market live, from the feed to the store."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import redis

from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.errors import StoreError
from pseudofeed.market import Market
from pseudofeed.publish.markets import register_market
from pseudofeed.publish.topics import check_broker, ensure_market_topics
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.worker import prepare_store
from pseudofeed.supervise import FeedOptions, RunSummary, Supervisor

__all__ = ["run_market"]


def run_market(
    market: Market,
    connections: Connections,
    *,
    feed: FeedOptions,
    store_workers: int = 1,
    cache_workers: int = 1,
    on_refresh: Callable[[Supervisor], None] | None = None,
) -> RunSummary:
    """Register the market, then run its feed and workers until the feed ends or Ctrl-C; see supervise.py.

    What can be refused is refused before a process starts: settings that are missing, servers that do not answer, a
    store that
    can't hold the market's times, another market of the same name.
    """
    kafka = connections.require_kafka()
    problem = market.store_problem()
    if store_workers and problem is not None:
        raise StoreError(problem)
    if cache_workers:
        check_redis(connections)
    if store_workers:
        check_postgres(connections)
    check_broker(kafka)
    record = register_market(kafka, market, feed.partitions)
    if store_workers:
        prepare_store(record, connections)
    ensure_market_topics(kafka, market.name, record.partitions)
    supervisor = Supervisor(
        market,
        record,
        connections,
        feed=feed,
        store_workers=store_workers,
        cache_workers=cache_workers,
        on_refresh=on_refresh,
    )
    return supervisor.run()


def check_redis(connections: Connections) -> None:
    """Raise ServerError where Redis does not answer, SettingsError where it is not set."""
    client = open_redis(connections, name="pseudofeed-run")
    try:
        client.ping()
    except redis.RedisError as problem:
        raise cache_error(problem, connections) from None
    finally:
        client.close()


def check_postgres(connections: Connections) -> None:
    """Raise ServerError where PostgreSQL does not answer, SettingsError where it is not set."""
    try:
        open_connection(connections, application="pseudofeed run", writer=False).close()
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
