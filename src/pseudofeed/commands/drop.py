"""`pseudofeed market drop`: removes a market from Kafka, Redis and the store, even if its record cannot be read.

The record goes last: until then a drop that was interrupted can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
import redis
from confluent_kafka import KafkaException

from pseudofeed import records
from pseudofeed.bus.clients import TIMEOUT, admin_client, server_error
from pseudofeed.bus.markets import drop_market, read_markets
from pseudofeed.bus.topics import check_broker, delete_topic
from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.keys import market_patterns
from pseudofeed.errors import PseudofeedError, UnknownMarket
from pseudofeed.market.file import NAME
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.forget import Forgotten, forget_market, knows_market

__all__ = ["Dropped", "Traces", "drop_everywhere", "find_traces"]


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is of a market: its record, topics and consumer groups in Kafka, keys in Redis, rows in the store.

    cached, stored: None where the server is not set.
    """

    market: str
    registered: bool
    topics: tuple[str, ...]
    groups: tuple[str, ...]
    cached: bool | None
    stored: bool | None

    @property
    def any(self) -> bool:
        return bool(self.registered or self.topics or self.groups or self.cached or self.stored)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was removed. keys: in Redis. chunks, rows: of the store's tables, whole and single ones."""

    market: str
    record: bool
    topics: tuple[str, ...]
    groups: tuple[str, ...]
    keys: int
    chunks: int
    rows: int


def find_traces(name: str, connections: Connections) -> Traces:
    """Look at every server that is set. Raises UnknownMarket where there is nothing, ServerError where one is away,
    PseudofeedError where workers of the market still run."""
    if not NAME.fullmatch(name):  # before it becomes a pattern of keys
        raise UnknownMarket(f"{name!r} is not the name of a market: those have lower-case letters, digits, - and _")
    kafka = connections.require_kafka()
    check_broker(kafka)
    admin = admin_client(kafka)
    try:
        known = admin.list_topics(timeout=TIMEOUT).topics
        groups = admin.list_consumer_groups(request_timeout=TIMEOUT).result(TIMEOUT + 5).valid
    except KafkaException as problem:
        raise server_error(kafka, "does not list topics and groups", problem) from None
    ours = [group for group in groups if group.group_id.startswith("pseudofeed.") and _market_of(group) == name]
    running = sorted(group.group_id for group in ours if group.state is not None and group.state.name == "STABLE")
    if running:
        raise PseudofeedError(
            f"workers of market {name} still run (Kafka's groups {', '.join(running)} have members): stop them first; "
            f"a killed worker stays a member for a few seconds"
        )
    traces = Traces(
        market=name,
        registered=name in read_markets(kafka),
        topics=tuple(topic for topic in (kind.topic_of(name) for kind in records.KINDS) if topic in known),
        groups=tuple(sorted(group.group_id for group in ours)),
        cached=None if connections.redis is None else bool(_redis_keys(name, connections, remove=False)),
        stored=None if connections.postgres is None else _is_stored(name, connections),
    )
    if not traces.any:
        raise UnknownMarket(f"no market {name!r} is registered, and no server has any data of it")
    return traces


def drop_everywhere(traces: Traces, connections: Connections) -> Dropped:
    """Remove what `find_traces` has found. Raises ServerError where a server is away: repeat it then."""
    name, kafka = traces.market, connections.require_kafka()
    forgotten = _forget_stored(name, connections) if traces.stored else Forgotten(0, 0)
    keys = _redis_keys(name, connections, remove=True) if traces.cached else 0
    for topic in traces.topics:
        delete_topic(kafka, topic)
    _delete_groups(kafka, traces.groups)
    if traces.registered:
        drop_market(kafka, name)
    return Dropped(name, traces.registered, traces.topics, traces.groups, keys, forgotten.chunks, forgotten.rows)


def _market_of(group: object) -> str:
    """A market's name has no dot: it is what stands behind the last one."""
    return str(getattr(group, "group_id", "")).rpartition(".")[2]


def _delete_groups(kafka: Mapping[str, str], groups: tuple[str, ...]) -> None:
    if not groups:
        return
    admin = admin_client(kafka)
    for group, future in admin.delete_consumer_groups(list(groups), request_timeout=TIMEOUT).items():
        try:
            future.result(TIMEOUT + 5)
        except KafkaException as problem:
            if problem.args[0].name() != "GROUP_ID_NOT_FOUND":
                raise server_error(kafka, f"can't delete the group {group}", problem) from None


def _redis_keys(name: str, connections: Connections, *, remove: bool) -> int:
    """How many keys the market has; they are deleted if so asked: as many as a SCAN finds in one round trip, each by a
    command of its own, since those of two partitions lie in two slots of a cluster."""
    client = open_redis(connections, name="pseudofeed-drop")
    found: set[bytes | str] = set()  # SCAN may find a key twice
    try:
        for pattern in market_patterns(name):
            cursor = -1
            while cursor != 0:
                cursor, keys = client.scan(max(cursor, 0), match=pattern, count=1_000)
                found.update(keys)
                if remove and keys:
                    pipeline = client.pipeline(transaction=False)
                    for key in keys:
                        pipeline.unlink(key)
                    pipeline.execute()
    except redis.RedisError as problem:
        raise cache_error(problem, connections) from None
    finally:
        client.close()
    return len(found)


def _is_stored(name: str, connections: Connections) -> bool:
    try:
        with open_connection(connections, application="pseudofeed market drop", writer=False) as connection:
            return knows_market(connection, name)
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None


def _forget_stored(name: str, connections: Connections) -> Forgotten:
    try:
        with open_connection(connections, application="pseudofeed market drop", writer=True) as connection:
            return forget_market(connection, name)
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
