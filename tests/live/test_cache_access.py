"""Users and TLS: what docs/cache.md says is enough is enough, and what is refused is one clear message."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import pseudofeed as pf
from live.own_redis import EVERY_REDIS, SYSTEM_REDIS, OwnRedis
from live.pipe import Until, fed_market
from pseudofeed.cache.connection import open_redis
from pseudofeed.cache.worker import cache_market
from pseudofeed.errors import ServerError, SettingsError
from pseudofeed.settings import Connections

DOCS = Path(__file__).parent.parent.parent / "docs" / "cache.md"


@EVERY_REDIS
def test_the_users_of_the_docs_can_do_what_they_must(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    lines = [line.strip().split() for line in DOCS.read_text().splitlines() if line.strip().startswith("ACL SETUSER")]
    assert [line[2] for line in lines] == ["cache-worker", "reader"]
    knows_read_only = not server.client.info("server")["redis_version"].startswith("6.")
    for line in lines:
        server.client.execute_command(*(word if knows_read_only else word.replace("%R~", "~") for word in line))  # type: ignore[no-untyped-call, unused-ignore]
    record = fed_market(connections, market_name, steps=20)

    def as_user(user: str) -> Connections:
        return replace(connections, redis=server.url.replace("://", f"://{user}:secret@"))

    cache_market(record, as_user("cache-worker"), Until())
    cache_market(record, as_user("cache-worker"), Until())
    with pf.connect(market_name, connections=as_user("reader")) as client:
        assert (client.latest()["sequence"] == 20).all()
        assert (next(client.quotes())["sequence"] == 20).all()
    server.client.execute_command("ACL", "SETUSER", "reader", "-hmget")  # type: ignore[no-untyped-call, unused-ignore]
    with pf.connect(market_name, connections=as_user("reader")) as client:
        for symbols in (None, record.market.symbols[0]):
            with pytest.raises(ServerError, match=r"PSEUDOFEED_REDIS.*hmget") as caught:
                client.latest(symbols)
            assert "secret" not in str(caught.value)
    with pytest.raises(ServerError, match=r"PSEUDOFEED_REDIS.*permissions"):
        cache_market(record, as_user("reader"), Until())


@pytest.mark.skipif(SYSTEM_REDIS is None, reason="needs a redis-server that was built with TLS")
def test_tls_is_verified(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis], tmp_path: Path
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"]
    request += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(request, check=True, capture_output=True)
    server = own_redis(tls=(certificate, key))
    record = fed_market(connections, market_name, steps=5)
    trusted = f"{server.tls_url}?ssl_ca_certs={certificate}"
    cache_market(record, replace(connections, redis=trusted), Until())
    with pf.connect(market_name, connections=replace(connections, redis=trusted)) as client:
        assert (client.latest()["sequence"] == 5).all()
    for url in (server.tls_url, trusted.replace("127.0.0.1", "localhost")):
        with pytest.raises(ServerError, match="certificate") as caught:
            cache_market(record, replace(connections, redis=url), Until())
        assert "PSEUDOFEED_REDIS" in str(caught.value)


@pytest.mark.parametrize("parameter", ["ssl_ca_cert=/x", "socket_timeout=soon"])
def test_a_parameter_that_means_nothing_is_named(connections: Connections, parameter: str) -> None:
    url = f"rediss://ann:marker-word@localhost:1/0?{parameter}"
    with pytest.raises(SettingsError, match=re.escape(parameter.split("=")[0])) as caught:
        open_redis(replace(connections, redis=url), name="test")
    assert "PSEUDOFEED_REDIS" in str(caught.value)
    assert "marker-word" not in str(caught.value)


def test_a_socket_of_the_file_system_does_too(
    connections: Connections, market_name: str, own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis()
    by_socket = replace(connections, redis=f"unix://{server.socket}?db=2")
    assert by_socket.describe_redis() == f"{server.socket}, database 2"
    record = fed_market(connections, market_name, steps=20)
    cache_market(record, by_socket, Until())
    with pf.connect(market_name, connections=by_socket) as client:
        assert len(client.latest()) == len(record.market.symbols)
    assert server.client.info("keyspace").keys() == {"db2"}
