"""A Kafka broker of a test's own, on ports and with data of its own, that may be killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from pseudofeed.errors import ServerError
from pseudofeed.publish.topics import check_broker
from pseudofeed.servers import ServerSettings, kafka
from pseudofeed.settings import Connections

__all__ = ["OwnBroker", "own_broker"]


class OwnBroker:
    """kafka: how clients reach it. Its listener is plain unless `properties` say something else."""

    def __init__(self, settings: ServerSettings, kafka_properties: Mapping[str, str]) -> None:
        self._settings = settings
        self.kafka = {"bootstrap.servers": f"127.0.0.1:{settings.kafka_port}", **kafka_properties}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connections(self) -> Connections:
        return Connections(kafka=self.kafka)

    def start(self) -> None:
        """Returns when it answers."""
        log = (self._settings.home / "broker.log").open("ab")
        self._process = subprocess.Popen(_quick(kafka.command(self._settings)), stdout=log, stderr=log, cwd="/")
        log.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                check_broker(self.kafka, timeout=2)
                return
            except ServerError as problem:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    log_text = (self._settings.home / "broker.log").read_text()[-2000:]
                    pytest.fail(f"the broker did not come up: {problem}\n{log_text}")

    def kill(self) -> None:
        """With -9: it has no time for anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _quick(command: list[str]) -> list[str]:
    """Java's first compiler alone: it starts sooner, and nobody measures this broker's speed."""
    return [command[0], "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *command[1:]]


def _free_ports(count: int) -> int:
    """The first of that many free ports in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return first


@contextmanager
def own_broker(
    *, properties: Mapping[str, str] | None = None, client: Mapping[str, str] | None = None
) -> Iterator[OwnBroker]:
    """A broker that runs. properties: added to its server.properties, where {port}, {controller} and {inner} stand for
    its port, its controller's, and one more that is free; client: to what clients need."""
    if shutil.which("java") is None:
        pytest.skip("no Java, so no broker of the test's own")
    folder = Path(tempfile.mkdtemp(prefix="pseudofeed-broker-"))
    port = _free_ports(3)
    places = {"{port}": port, "{controller}": port + 1, "{inner}": port + 2}
    # Its ports differ from Redis's and PostgreSQL's by being other numbers only: those are not started.
    others = {"redis_port": 1, "postgres_port": 2}
    settings = ServerSettings(home=folder, cache=ServerSettings.from_environment().cache, kafka_port=port, **others)
    broker = OwnBroker(settings, client or {})
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
    try:
        (folder / "log").mkdir()
        kafka.fetch_jars(settings, lock=lock, report=print)
        file = kafka.format_storage(settings, lock=lock, report=print)
        more = {"offsets.topic.num.partitions": "1", **(properties or {})}
        lines = "".join(f"{key}={value}\n" for key, value in more.items())
        for name, number in places.items():
            lines = lines.replace(name, str(number))
        with file.open("a") as text:
            text.write(lines)
        broker.start()
        yield broker
    finally:
        broker.kill()
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)
