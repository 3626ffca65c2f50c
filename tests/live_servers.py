"""The servers that tests run on (PSEUDOFEED_KAFKA, _REDIS and _POSTGRES), and fixtures that leave them clean."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pseudofeed.errors import PseudofeedError
from pseudofeed.servers import probe
from pseudofeed.settings import Connections

VARIABLES = ("PSEUDOFEED_KAFKA", "PSEUDOFEED_REDIS", "PSEUDOFEED_POSTGRES")
MARKETS_TOPIC = "pseudofeed.markets"


@dataclass(frozen=True, slots=True)
class LiveServers:
    """connections when all three servers answer, otherwise the problem. tiers: of databases that can be made."""

    connections: Connections | None
    problem: str | None
    versions: tuple[str, ...]
    tiers: tuple[str, ...]


_found = pytest.StashKey[LiveServers]()


def live_servers(config: pytest.Config) -> LiveServers:
    """Asked once a session."""
    if _found not in config.stash:
        config.stash[_found] = _look()
    return config.stash[_found]


def _look() -> LiveServers:
    unset = [name for name in VARIABLES if not os.environ.get(name)]
    if unset:
        return LiveServers(None, f"no servers: {', '.join(unset)} not set", (), ("plain",))
    try:
        # A folder without pseudofeed.toml: what is there on this machine must not decide what is tested.
        connections = Connections.resolve(directory=Path(__file__).parent)
        versions = (
            f"{probe.kafka_version(connections.require_kafka())} at {connections.describe_kafka()}",
            f"{probe.redis_version(connections.require_redis())} at {connections.describe_redis()}",
            f"{probe.postgres_version(connections.require_postgres())} at {connections.describe_postgres()}",
        )
        tiers = ("timescaledb", "plain") if _has_timescale(connections) else ("plain",)
    except PseudofeedError as error:
        return LiveServers(None, f"no servers: {error}", (), ("plain",))
    return LiveServers(connections, None, versions, tiers)


def _has_timescale(connections: Connections) -> bool:
    import psycopg

    question = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
    with psycopg.connect(connections.require_postgres(), connect_timeout=5) as connection:
        row = connection.execute(question).fetchone()
    return row is not None and row[0] == 1


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = live_servers(config)
    if found.problem is not None:
        return [f"servers: {found.problem}"]
    return [f"servers: {'; '.join(found.versions)}", f"database tiers: {', '.join(found.tiers)}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tier" in metafunc.fixturenames:
        metafunc.parametrize("tier", live_servers(metafunc.config).tiers, scope="function")


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """The three servers of the environment; a test that needs them is skipped where they are not."""
    found = live_servers(request.config)
    if found.connections is None:
        pytest.skip(str(found.problem))
    return found.connections


@pytest.fixture
def market_name(request: pytest.FixtureRequest, connections: Connections) -> Iterator[str]:
    """A market's name that nobody else uses; its topics, groups, registration and quotes are deleted after the test."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    name = f"t-{words[:40].rstrip('-')}-{secrets.token_hex(4)}"
    yield name
    _forget_in_kafka(connections.require_kafka(), name)
    _forget_in_redis(connections.require_redis(), name)


def _forget_in_kafka(properties: Mapping[str, str], name: str) -> None:
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(dict(properties))
    topics = admin.list_topics(timeout=10).topics
    ours = [topic for topic in topics if topic.endswith(f".{name}")]
    groups = [
        g.group_id for g in admin.list_consumer_groups().result(10).valid if name in re.split(r"[.:/]", g.group_id)
    ]
    pending = list(admin.delete_consumer_groups(groups).values()) if groups else []
    pending += list(admin.delete_topics(ours).values()) if ours else []
    for future in pending:
        try:
            future.result(30)
        except KafkaException as error:
            # A worker that a test has killed -9 stays a member until its session times out.
            if error.args[0].name() not in ("NON_EMPTY_GROUP", "GROUP_ID_NOT_FOUND"):
                raise
    if MARKETS_TOPIC in topics:
        producer = Producer(dict(properties))
        producer.produce(MARKETS_TOPIC, key=name.encode(), value=None)
        assert producer.flush(10) == 0


def _forget_in_redis(url: str, name: str) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        for pattern in (f"pseudofeed:{{{name}.*", f"pseudofeed:{name}:*"):
            keys = list(client.scan_iter(match=pattern, count=1000))
            if keys:
                client.delete(*keys)


@contextmanager
def fresh_database(connections: Connections, tier: str | None = None) -> Iterator[Connections]:
    """A database of its own: "timescaledb" with the extension, "plain" without, None as the server has it. Dropped
    afterwards, whoever uses it."""
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    name = f"pseudofeed_test_{secrets.token_hex(6)}"
    identifier = sql.Identifier(name)
    dsn = make_conninfo(connections.require_postgres(), dbname=name)
    with psycopg.connect(connections.require_postgres(), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        if tier == "timescaledb" or (tier is None and _has_timescale(connections)):
            with psycopg.connect(dsn, autocommit=True) as database:
                database.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield replace(connections, postgres=dsn)
    finally:
        with psycopg.connect(connections.require_postgres(), autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture
def store_connections(connections: Connections, tier: str) -> Iterator[Connections]:
    """Connections with a fresh database; the test runs once for each tier that the server has."""
    with fresh_database(connections, tier) as own:
        yield own


@pytest.fixture
def timescale_connections(request: pytest.FixtureRequest, connections: Connections) -> Iterator[Connections]:
    """Connections with a fresh database that has TimescaleDB."""
    if "timescaledb" not in live_servers(request.config).tiers:
        pytest.skip("the PostgreSQL server has no TimescaleDB")
    with fresh_database(connections, "timescaledb") as own:
        yield own


@pytest.fixture
def plain_connections(connections: Connections) -> Iterator[Connections]:
    """Connections with a fresh database of plain PostgreSQL."""
    with fresh_database(connections, "plain") as own:
        yield own
