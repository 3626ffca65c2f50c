"""Does a server answer, and what is it? One short question to each, never a change."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping

from pseudofeed.errors import ServerError

__all__ = ["kafka_version", "postgres_version", "redis_version", "wait_for"]

# metadata.version levels with the first release that supports each (org.apache.kafka.server.common.MetadataVersion).
_KAFKA_RELEASES = {19: "3.7", 20: "3.8", 21: "3.9", 25: "4.0", 27: "4.1", 29: "4.2", 30: "4.3"}


def kafka_version(properties: Mapping[str, str], *, timeout: float = 5.0) -> str:
    """Ask for the cluster's metadata through librdkafka. Returns e.g. "Kafka 4.3, 1 broker".

    The release is what the newest metadata level that the broker supports belongs to; brokers do not tell their version
    otherwise. Errors: ServerError when no broker answers in time.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    quiet = {"log_level": "0", "socket.timeout.ms": str(int(timeout * 1000))}
    try:
        metadata = AdminClient({**properties, **quiet}).list_topics(timeout=timeout)
    except KafkaException as error:
        raise ServerError(f"no Kafka broker answers at {properties.get('bootstrap.servers')}: {error}") from None
    brokers = len(metadata.brokers)
    return f"{_kafka_release(properties, timeout)}, {brokers} broker{'s' if brokers != 1 else ''}"


def _kafka_release(properties: Mapping[str, str], timeout: float) -> str:
    if properties.get("security.protocol", "plaintext").lower() != "plaintext":
        return "Kafka (release unknown: not asked over an encrypted connection)"
    host, _, port = properties["bootstrap.servers"].split(",")[0].rpartition(":")
    try:
        level = _metadata_level(host.strip("[]"), int(port), timeout)
    except (OSError, ValueError, struct.error):
        return "Kafka (release unknown)"
    return f"Kafka {_KAFKA_RELEASES[level]}" if level in _KAFKA_RELEASES else f"Kafka (metadata level {level})"


def _metadata_level(host: str, port: int, timeout: float) -> int:
    """The newest metadata.version that a broker supports: ApiVersions v3 (https://kafka.apache.org/protocol).

    ValueError when the answer has none.
    """
    body = struct.pack(">hhih", 18, 3, 1, 10) + b"pseudofeed" + b"\0"  # header v2: key, version, correlation, client
    body += b"\x0bpseudofeed" + b"\x02" + b"1" + b"\0"  # client software name and version as compact strings
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(min(size, 1 << 20))
    # The name of the feature as a compact string, then min and max level as int16.
    name = b"\x11metadata.version"
    at = answer.index(name) + len(name)
    return int(struct.unpack_from(">hh", answer, at)[1])


def redis_version(url: str, *, timeout: float = 5.0) -> str:
    """PING and INFO. Returns e.g. "Redis 7.0.15". Errors: ServerError."""
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout) as client:
            client.ping()
            information = client.info("server")
    except (redis.RedisError, ValueError) as error:
        raise ServerError(f"Redis does not answer: {error}") from None
    name = "Valkey" if information.get("server_name") == "valkey" else "Redis"
    return f"{name} {information.get('valkey_version') or information['redis_version']}"


def postgres_version(dsn: str, *, timeout: float = 5.0) -> str:
    """One SELECT. Returns e.g. "PostgreSQL 17.5, TimescaleDB 2.19.3 (apache)". Errors: ServerError."""
    import psycopg

    try:
        with psycopg.connect(dsn, connect_timeout=max(2, int(timeout)), autocommit=True) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'),"
                " (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),"
                " current_setting('timescaledb.license', true)"
            ).fetchone()
    except psycopg.Error as error:
        raise ServerError(f"PostgreSQL does not answer: {str(error).strip()}") from None
    assert row is not None
    version, timescale, license_name = row
    text = f"PostgreSQL {str(version).split()[0]}"
    return text if timescale is None else f"{text}, TimescaleDB {timescale} ({license_name})"


def wait_for(question: Callable[[], str], *, seconds: float, still_possible: Callable[[], bool]) -> str:
    """Ask again and again until there is an answer. The last ServerError when time is up, or it is not possible."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return question()
        except ServerError:
            if time.monotonic() > deadline or not still_possible():
                raise
        time.sleep(0.2)
