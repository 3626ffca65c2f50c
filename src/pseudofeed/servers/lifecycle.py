"""`pseudofeed servers up | down | status`.

All three take the same ServerSettings and may be called at any time, in any state, by several people at once: each
looks at what is there, under a lock, and does what is left to do.
"""

from __future__ import annotations

from pseudofeed.errors import ServerError
from pseudofeed.servers import debian, docker
from pseudofeed.servers.postgres import read_or_make_password
from pseudofeed.servers.settings import Endpoints, ServerSettings, ServerStatus
from pseudofeed.servers.tools import Report, locked

__all__ = ["IMPOSSIBLE", "down", "status", "up"]

IMPOSSIBLE = """\
the servers cannot be started here: no Docker engine with its compose plugin answers, and without one
this must be Debian, and you root.
Start these yourself, and say by variables where they are:
  PSEUDOFEED_KAFKA     host:port of Apache Kafka 3.7 or newer
  PSEUDOFEED_REDIS     redis://host:port/0 of Redis 6.2 or newer, or Valkey
  PSEUDOFEED_POSTGRES  postgresql://user:password@host:port/database of PostgreSQL 15 or newer,
                       with or without TimescaleDB
`pseudofeed demo` needs none of them."""


def _silent(text: str) -> None:
    del text


def up(settings: ServerSettings, *, report: Report = _silent) -> Endpoints:
    """Start what does not run yet and wait until Kafka, Redis and PostgreSQL answer; returns how to reach them.

    Idempotent: with everything up it changes nothing and takes a second. report is called with one line at each step;
    the first time, downloads take minutes. Ctrl-C at any moment leaves nothing that disturbs the next call.

    Errors: ServerError when there is no way to start servers here, a port is taken, a download fails, or a server does
    not come up (with the end of its log). SettingsError is raised by ServerSettings.
    """
    with locked(settings.home, report) as lock:
        if docker.owned(settings) or (not debian.any_owned(settings) and docker.engine_answers()):
            return docker.start(settings, lock=lock, report=report)
        codename = debian.possible()
        if codename is None:
            raise ServerError(IMPOSSIBLE)
        return debian.start(settings, codename=codename, lock=lock, report=report)


def down(settings: ServerSettings, *, report: Report = _silent) -> None:
    """End what `up` started, and only that; data and downloads stay. Doing it twice is no error."""
    if not settings.home.is_dir():
        return
    with locked(settings.home, report) as lock:
        if docker.owned(settings):
            docker.stop(settings, lock=lock, report=report)
        debian.stop(settings, report)


def status(settings: ServerSettings) -> list[ServerStatus]:
    """What is there now: one entry for each of Kafka, Redis, PostgreSQL, in this order. Changes nothing."""
    password_file = settings.home / "postgres-password"
    password = read_or_make_password(settings) if password_file.exists() else ""
    endpoints = Endpoints.of(settings, password=password)
    containers = docker.owned(settings)
    found: list[ServerStatus] = []
    for server in debian.SERVERS:
        process = debian.owned(settings, server)
        version: str | None = None
        try:
            version = server.version(endpoints) if _listens(server, settings) else None
        except ServerError:
            version = None
        found.append(
            ServerStatus(
                name=server.name,
                address=f"127.0.0.1:{server.ports(settings)[0]}",
                started=containers or process is not None,
                answers=version is not None,
                version=version,
                pid=process.pid if process is not None else None,
            )
        )
    return found


def _listens(server: debian.NativeServer, settings: ServerSettings) -> bool:
    """A quick look, so that `status` of servers that are down takes no client's patience."""
    return not debian.port_is_free(server.ports(settings)[0])
