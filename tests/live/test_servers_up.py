"""`pseudofeed servers` for real: a second set of servers beside the one the suite runs on, in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from live.ports import free_port
from pseudofeed.errors import ServerError
from pseudofeed.servers import ServerSettings, debian, docker, down, status, up


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ServerSettings]:
    port = free_port(in_a_row=4)  # Kafka takes two
    usual = ServerSettings.from_environment()  # its downloads are used, nothing else
    settings = replace(usual, home=tmp_path / "servers", kafka_port=port, redis_port=port + 2, postgres_port=port + 3)
    yield settings
    down(settings)


@pytest.mark.time_limit(600)
def test_up_is_idempotent_and_repairs_and_down_ends_all(settings: ServerSettings) -> None:
    if not docker.engine_answers() and debian.possible() is None:
        with pytest.raises(ServerError, match="PSEUDOFEED_POSTGRES"):
            up(settings)
        return
    said: list[str] = []
    endpoints = up(settings, report=said.append)
    assert said
    with psycopg.connect(endpoints.postgres) as connection:
        connection.execute("CREATE TABLE kept (value int)")
    with redis.Redis.from_url(endpoints.redis) as client:
        client.set("kept", "1")
    first = status(settings)
    assert [(server.name, server.started, server.answers) for server in first] == [
        ("kafka", True, True),
        ("redis", True, True),
        ("postgres", True, True),
    ]
    assert "TimescaleDB" in str(first[2].version)

    assert up(settings) == endpoints
    assert status(settings) == first

    if first[2].pid is not None:
        os.kill(first[2].pid, signal.SIGKILL)
        assert up(settings) == endpoints
        repaired = status(settings)
        assert [server.pid for server in repaired[:2]] == [server.pid for server in first[:2]]
        assert repaired[2].pid != first[2].pid

    down(settings)
    down(settings)
    assert [(server.started, server.answers) for server in status(settings)] == [(False, False)] * 3

    assert up(settings) == endpoints
    with psycopg.connect(endpoints.postgres) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with redis.Redis.from_url(endpoints.redis) as client:
        assert client.get("kept") == b"1"


def test_a_port_that_is_taken_is_named_with_its_setting(settings: ServerSettings) -> None:
    if docker.engine_answers():
        expected = str(settings.redis_port)  # Docker says it in its own words
    elif debian.possible() is not None:
        expected = rf"port {settings.redis_port}.*Redis.*PSEUDOFEED_REDIS_PORT"
    else:
        expected = "PSEUDOFEED_REDIS"
    with socket.create_server(("127.0.0.1", settings.redis_port)), pytest.raises(ServerError, match=expected):
        up(settings)
    assert not debian.any_owned(settings)
