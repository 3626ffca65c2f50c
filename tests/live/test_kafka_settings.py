"""What a Kafka properties file asks for reaches every client: TLS, SASL, the group protocol. Secrets stay secret."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from live.certificates import Certificates, make_certificates
from live.commands import MARKET
from live.own_servers import own_broker
from live.pipe import Until
from pseudofeed.bus.clients import admin_client
from pseudofeed.bus.markets import read_market
from pseudofeed.cache.worker import cache_market
from pseudofeed.errors import ServerError
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish.feed import feed
from pseudofeed.settings import Connections

MARKER = "marker-password"


def test_the_group_protocol_of_the_broker(connections: Connections, market_name: str) -> None:
    kafka = {**connections.require_kafka(), "group.protocol": "consumer"}
    settings = replace(connections, kafka=kafka)
    feed(sample(market_name), settings, SignalControl(), steps=200)
    assert cache_market(read_market(kafka, market_name), settings, Until()).last_step == 200
    admin = admin_client(connections.require_kafka())
    found = admin.list_consumer_groups().result(10).valid
    assert [g.type.name for g in found if g.group_id == f"pseudofeed.cache.{market_name}"] == ["CONSUMER"]


@dataclass(frozen=True, slots=True)
class Secured:
    """A broker that wants a password over TLS. kafka: what its clients need."""

    kafka: dict[str, str]
    certificates: Certificates


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    client = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "feeder",
        "sasl.password": MARKER,
        "ssl.ca.location": str(certificates.authority),
    }
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    broker = {
        "listeners": "SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},INNER://127.0.0.1:{inner}",
        "advertised.listeners": "SASL_SSL://127.0.0.1:{port},INNER://127.0.0.1:{inner}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT,INNER:PLAINTEXT",
        "inter.broker.listener.name": "INNER",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login} user_feeder="{MARKER}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.keystore),
    }
    with own_broker(properties=broker, client=client) as running:
        yield Secured(running.kafka, certificates)


def sample(name: str) -> Market:
    return Market.sample(instruments=5, name=name)


def test_tls_and_a_password_for_every_client(connections: Connections, market_name: str, secured: Secured) -> None:
    settings = replace(connections, kafka=secured.kafka)
    assert feed(sample(market_name), settings, SignalControl(), steps=50).ticks == 250
    assert feed(sample(market_name), settings, SignalControl(), steps=60, mode="tick").ticks == 50
    record = read_market(secured.kafka, market_name)
    assert cache_market(record, settings, Until()).last_step == 60


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sasl.password": f"{MARKER}-wrong"}, "Authentication failed"),
        ({"ssl.ca.location": "stranger"}, "certificate verify failed|self-signed certificate|signed certificate"),
        ({"bootstrap.servers": "localhost"}, "certificate verify failed|hostname"),
    ],
    ids=["password", "authority", "host name"],
)
def test_what_is_wrong_is_refused_at_once_and_shown_without_the_password(
    tmp_path: Path, secured: Secured, change: dict[str, str], reason: str
) -> None:
    kafka = {**secured.kafka, **change}
    if "ssl.ca.location" in change:
        kafka["ssl.ca.location"] = str(secured.certificates.stranger)
    if "bootstrap.servers" in change:
        kafka["bootstrap.servers"] = secured.kafka["bootstrap.servers"].replace("127.0.0.1", "localhost")
    began = time.monotonic()
    with pytest.raises(ServerError, match=f"refuses the connection.*({reason})") as refused:
        feed(sample("refused"), Connections(kafka=kafka), SignalControl(), steps=1)
    assert time.monotonic() - began < 5
    assert MARKER not in f"{refused.value!r} {refused.value} {Connections(kafka=kafka)!r}"
    (tmp_path / "kafka.properties").write_text("".join(f"{key}={value}\n" for key, value in kafka.items()))
    (tmp_path / "market.toml").write_text(MARKET.format(name="refused", seed=1, step="1s", instruments=5))
    process = subprocess.Popen(
        [sys.executable, "-m", "pseudofeed", "feed", "market.toml", "--steps", "1", "--kafka", "kafka.properties"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PSEUDOFEED_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.startswith("pseudofeed: Kafka at ")
    assert len(output.splitlines()) == 1
    assert MARKER not in output
    assert MARKER.encode() not in arguments
