"""TLS and passwords of the store: what is right works for worker and client, what is wrong is one clear message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

import pseudofeed as pf
from live.certificates import Certificates, make_certificates
from live.own_servers import own_tls_postgres
from live.pipe import Until, differences, fed_market
from pseudofeed.errors import ServerError
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

MARKER = "marker-password"
STEPS = 20


@dataclass(frozen=True, slots=True)
class Secured:
    """A server that wants TLS and a password. dsn: what its clients need, all of it verified."""

    dsn: str
    certificates: Certificates


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    with own_tls_postgres(certificates) as dsn:
        own = f"{dsn}?sslmode=verify-full&sslrootcert={certificates.authority}"
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE storer LOGIN PASSWORD '{MARKER}'".encode())
            connection.execute("CREATE DATABASE market OWNER storer")
        yield Secured(own.replace("pseudofeed:own", f"storer:{MARKER}").replace("/postgres?", "/market?"), certificates)


def test_worker_and_client_over_tls(connections: Connections, market_name: str, secured: Secured) -> None:
    settings = replace(connections, postgres=secured.dsn)
    record = fed_market(connections, market_name, steps=STEPS)
    assert store_market(record, settings, Until()).ticks == STEPS * 20
    assert differences(settings, record, STEPS) == (STEPS * 20, 0, 0)
    with psycopg.connect(secured.dsn) as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (True,)
    with pf.connect(market_name, connections=settings) as client:
        symbol = record.market.symbols[3]
        assert len(client.ticks(symbol)) == STEPS
        assert client.ticks(symbol, arrow=True).num_rows == STEPS


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("authority.pem", "stranger.pem", "shows a certificate that is not accepted: .*certificate verify failed"),
        ("127.0.0.1", "localhost", "shows a certificate that is not accepted: .*does not match host name"),
        (MARKER, f"{MARKER}-wrong", "does not accept the user or password of PSEUDOFEED_POSTGRES"),
        ("sslmode=verify-full", "sslmode=disable", "no pg_hba.conf entry.*no encryption"),
    ],
    ids=["authority", "host name", "password", "no TLS"],
)
def test_what_is_wrong_is_refused_and_shown_without_the_password(
    connections: Connections, market_name: str, secured: Secured, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    dsn = secured.dsn.replace(right, wrong)
    assert dsn != secured.dsn
    settings = replace(connections, postgres=dsn)
    record = fed_market(connections, market_name, steps=1)
    with pytest.raises(ServerError, match=f"^PostgreSQL at .*/market:? .*{said}") as refused:
        store_market(record, settings, Until())
    assert "PSEUDOFEED_POSTGRES" in str(refused.value)
    shown = [repr(refused.value), str(refused.value), repr(settings)]
    for arrow in (False, True):
        with pytest.raises(ServerError) as refused, pf.connect(market_name, connections=settings) as client:
            client.ticks(record.market.symbols[0], arrow=arrow)
        shown += [repr(refused.value), str(refused.value)]
    process = subprocess.Popen(
        [sys.executable, "-m", "pseudofeed", "store", market_name],
        cwd=tmp_path,
        env={**_without_ours(), "PSEUDOFEED_KAFKA": kafka_of(connections), "PSEUDOFEED_POSTGRES": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    shown.append(Path(f"/proc/{process.pid}/cmdline").read_text())
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.startswith("pseudofeed: PostgreSQL at ")
    assert len(output.splitlines()) == 1
    assert not [text for text in [*shown, output] if MARKER in text]


def kafka_of(connections: Connections) -> str:
    return connections.require_kafka()["bootstrap.servers"]


def _without_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PSEUDOFEED_")}
