"""`pseudofeed run`: a whole market live, from the feed to the store."""

from __future__ import annotations

from collections.abc import Callable

from pseudofeed.errors import StoreError
from pseudofeed.market import Market
from pseudofeed.publish.markets import register_market
from pseudofeed.settings import Connections
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
    if cache_workers:
        from pseudofeed.cache.quotes import check_redis

        connections.require_redis()
        check_redis(connections)
    if store_workers:
        from pseudofeed.store.connect import check_postgres

        connections.require_postgres()
        problem = market.store_problem()
        if problem is not None:
            raise StoreError(problem)
        check_postgres(connections)
    record = register_market(kafka, market, feed.partitions)
    supervisor = Supervisor(
        record,
        connections,
        feed=feed,
        store_workers=store_workers,
        cache_workers=cache_workers,
        on_refresh=on_refresh,
    )
    return supervisor.run()
