"""The servers natively, on Debian as root: for machines (most CI runners) without a Docker engine.

Redis comes from apt, Kafka from its Maven artifacts, PostgreSQL with TimescaleDB from a newer Debian beside the system.
Everything that takes long is done once and kept in the cache folder.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pseudofeed.errors import ServerError
from pseudofeed.servers import kafka, postgres, probe, redis
from pseudofeed.servers.apt import install_missing
from pseudofeed.servers.ownership import OwnedProcess, log_tail, start_owned, stop_owned
from pseudofeed.servers.settings import Endpoints, ServerSettings
from pseudofeed.servers.tools import Report, locked

__all__ = ["SERVERS", "NativeServer", "any_owned", "owned", "port_is_free", "possible", "start", "stop"]


@dataclass(frozen=True, slots=True)
class NativeServer:
    """How one server is run and asked.

    stop_signal: the one that makes it shut down quickly and cleanly. attempts: how often it is started when it
    ends at once.
    """

    name: str
    title: str
    variable: str
    stop_signal: signal.Signals
    ports: Callable[[ServerSettings], list[int]]
    command: Callable[[ServerSettings], list[str]]
    version: Callable[[Endpoints], str]
    attempts: int = 1


SERVERS = (
    NativeServer(
        "kafka",
        "Kafka",
        "PSEUDOFEED_KAFKA_PORT",
        signal.SIGTERM,
        lambda settings: [settings.kafka_port, settings.kafka_controller_port],
        kafka.command,
        lambda endpoints: probe.kafka_version({"bootstrap.servers": endpoints.kafka}),
    ),
    NativeServer(
        "redis",
        "Redis",
        "PSEUDOFEED_REDIS_PORT",
        signal.SIGTERM,
        lambda settings: [settings.redis_port],
        redis.command,
        lambda endpoints: probe.redis_version(endpoints.redis),
    ),
    NativeServer(
        "postgres",
        "PostgreSQL",
        "PSEUDOFEED_POSTGRES_PORT",
        signal.SIGINT,  # "fast" shutdown: SIGTERM would wait for every client to leave
        lambda settings: [settings.postgres_port],
        postgres.command,
        lambda endpoints: probe.postgres_version(endpoints.postgres),
        attempts=10,  # after kill -9 it refuses to start until the last of its old children has noticed
    ),
)


def possible() -> str | None:
    """The release's code name (e.g. "bookworm") on Debian as root, otherwise None."""
    try:
        release = dict(
            line.rstrip().split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
        )
    except OSError:
        return None
    codename = release.get("VERSION_CODENAME", "").strip('"')
    return codename if release.get("ID", "").strip('"') == "debian" and codename and os.geteuid() == 0 else None


def record(settings: ServerSettings, server: NativeServer) -> Path:
    return settings.home / "run" / server.name


def owned(settings: ServerSettings, server: NativeServer) -> OwnedProcess | None:
    return OwnedProcess.read(record(settings, server))


def any_owned(settings: ServerSettings) -> bool:
    return any(owned(settings, server) is not None for server in SERVERS)


def start(settings: ServerSettings, *, codename: str, lock: int, report: Report) -> Endpoints:
    """Install, prepare and start what is not there yet, and wait until each server answers."""
    missing = [server for server in SERVERS if _must_start(settings, server)]
    if missing:
        _install(settings, codename=codename, report=report)
    password = postgres.read_or_make_password(settings)
    endpoints = Endpoints.of(settings, password=password)
    for server in missing:
        if server.name == "kafka":
            kafka.format_storage(settings, lock=lock, report=report)
        elif server.name == "postgres":
            postgres.initialise(settings, password=password, lock=lock, report=report)
    for server in missing:
        report(f"starting {server.title} on port {server.ports(settings)[0]}")
        _start(settings, server)
    for server in SERVERS:
        _wait(settings, server, endpoints)
    postgres.create_database(endpoints.postgres)
    return endpoints


def _must_start(settings: ServerSettings, server: NativeServer) -> bool:
    """Whether a server is to be started; ServerError when it runs elsewhere already, or its port is taken."""
    port = server.ports(settings)[0]
    process = owned(settings, server)
    if process is not None:
        if process.port != port:
            raise ServerError(
                f"{server.title} was started on port {process.port} and {server.variable} now says {port}: "
                f"`pseudofeed servers down` first, or set {server.variable}={process.port}"
            )
        return False
    for port in server.ports(settings):
        if not port_is_free(port):
            raise ServerError(
                f"port {port}, needed for {server.title}, is taken by another program (`ss -ltnp` says which): "
                f"end it, or set {server.variable} to a port that is free"
            )
    return True


def port_is_free(port: int) -> bool:
    with socket.socket() as probe_socket:
        probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe_socket.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _install(settings: ServerSettings, *, codename: str, report: Report) -> None:
    programs = [(redis.PROGRAM, "redis-server")]
    with locked(settings.cache, report) as cache_lock:
        if not kafka.jars_folder(settings).is_dir():
            programs.append(("mvn", "maven"))
        programs.append(("java", "default-jre-headless"))
        if not postgres.root_folder(settings).is_dir():
            programs.append(("debootstrap", "debootstrap"))
        install_missing(programs, log=settings.home / "log" / "apt.log", lock=cache_lock, report=report)
        kafka.check_java()
        kafka.fetch_jars(settings, lock=cache_lock, report=report)
        postgres.build_root(settings, codename=codename, lock=cache_lock, report=report)


def _start(settings: ServerSettings, server: NativeServer) -> None:
    start_owned(
        server.command(settings),
        record=record(settings, server),
        port=server.ports(settings)[0],
        log=log_file(settings, server),
    )


def log_file(settings: ServerSettings, server: NativeServer) -> Path:
    return settings.home / "log" / f"{server.name}.log"


def _wait(settings: ServerSettings, server: NativeServer, endpoints: Endpoints) -> None:
    # The database "postgres" is there from the beginning; our own is made once the server answers.
    endpoints = replace(endpoints, postgres=endpoints.postgres.rpartition("/")[0] + "/postgres")
    for attempt in range(server.attempts):
        if attempt > 0:
            _start(settings, server)
        try:
            # 90 s: Kafka needs 8 s on an idle machine, and recovers its log first after a crash.
            probe.wait_for(
                lambda: server.version(endpoints),
                seconds=90,
                still_possible=lambda: owned(settings, server) is not None,
            )
            return
        except ServerError as error:
            if owned(settings, server) is not None or attempt == server.attempts - 1:
                raise ServerError(
                    f"{server.title} does not come up on port {server.ports(settings)[0]} ({error}); "
                    f"{log_tail(log_file(settings, server))}"
                ) from None


def stop(settings: ServerSettings, report: Report) -> None:
    """End what `start` started, nothing else; data stay."""
    for server in SERVERS:
        if stop_owned(record(settings, server), with_signal=server.stop_signal):
            report(f"{server.title} is down")
