"""`pseudofeed run`: a whole market live, from the feed to the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import psycopg
import redis

from pseudofeed.bus.markets import register_market
from pseudofeed.bus.topics import check_broker, ensure_market_topics
from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.worker import cache_market
from pseudofeed.market import Market
from pseudofeed.operate.supervisor import Stage, Supervisor
from pseudofeed.publish.feed import feed as run_feed
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.registry import check_storable
from pseudofeed.store.worker import prepare_store, store_market

__all__ = ["FeedOptions", "RunSummary", "run_market"]


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What `publish.feed.feed` takes beside the market, the connections and the control."""

    steps: int | None = None
    rate: float | None = None
    speed: float | None = None
    mode: str = "block"
    encoding: str = "sbe"
    partitions: int | None = None
    wait_for_readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did. ticks: published in it; seconds: from the first published to the last commit of any stage.

    restarts: how often a process had to be started again. stored and cached: ticks that those stages took. unreadable:
    messages that the store has put into quarantine.
    """

    ticks: int
    seconds: float
    ticks_per_second: float
    last_step: int
    stored: int
    cached: int
    restarts: int
    unreadable: int


def run_market(
    market: Market,
    connections: Connections,
    *,
    feed: FeedOptions,
    store_workers: int = 1,
    cache_workers: int = 1,
    on_market: Callable[[Market], None] | None = None,
    on_refresh: Callable[[Supervisor], None] | None = None,
) -> RunSummary:
    """Register the market, then run its feed and workers until the feed ends or Ctrl-C; see operate/supervisor.py.

    What can be refused is refused before a process starts: settings that are missing, servers that do not answer, a
    store that can't hold the market's times, another market of the same name, steps that the market does not have.
    on_market: called with the market as it is registered.
    """
    kafka = connections.require_kafka()
    if store_workers:
        check_storable(market)
    if cache_workers:
        check_redis(connections)
    if store_workers:
        check_postgres(connections)
    check_broker(kafka)
    record = register_market(kafka, market, feed.partitions, steps=feed.steps)
    if on_market is not None:
        on_market(record.market)
    if store_workers:
        prepare_store(record, connections)
    ensure_market_topics(kafka, record.market, record.partitions)
    supervisor = Supervisor(
        [
            # The market as it was loaded: a start of "now" tells the feed that the market is live.
            Stage("feed", partial(run_feed, market, connections, **asdict(feed))),
            Stage("cache", partial(cache_market, record, connections), cache_workers),
            Stage("store", partial(store_market, record, connections), store_workers),
        ],
        on_refresh=on_refresh,
    )
    supervisor.run()
    ticks = supervisor.ticks("feed")
    seconds = 0.0 if supervisor.started is None else supervisor.ended - supervisor.started
    return RunSummary(
        ticks=ticks,
        seconds=seconds,
        ticks_per_second=ticks / seconds if seconds > 0 else 0.0,
        last_step=supervisor.source_summary.last_step,
        stored=supervisor.ticks("store"),
        cached=supervisor.ticks("cache"),
        restarts=supervisor.restarts,
        unreadable=supervisor.unreadable("store"),
    )


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
