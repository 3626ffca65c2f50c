"""PostgreSQL 17 with TimescaleDB (Apache edition) from Debian trixie's packages, in a root folder of its own.

The root is made once by debootstrap and never changed afterwards; data lie outside of it. The server runs in a mount
namespace of its own: /proc, /dev and the data folder are bound into the root for it alone. The machine never sees these
mounts, so nothing has to be unmounted when the server ends in whatever way, and nothing can be deleted through them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from pseudofeed.errors import ServerError
from pseudofeed.servers.apt import debian_mirror, machine_sources, proxy_environment
from pseudofeed.servers.settings import DATABASE, USER, ServerSettings
from pseudofeed.servers.tools import Report, remove_tree, run

__all__ = ["build_root", "command", "create_database", "initialise", "read_or_make_password", "server_settings"]

_SUITE = "trixie"
_PACKAGES = ("postgresql-17", "postgresql-17-timescaledb")
_PROGRAMS = "/usr/lib/postgresql/17/bin"
_INSIDE = "/mnt"  # where the data folder appears inside the root

_ENTER_ROOT = """
set -e
root=$1; data=$2; shift 2
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount --bind "$data" "$root/mnt"
exec chroot --userspec=postgres:postgres "$root" "$@"
"""


def root_folder(settings: ServerSettings) -> Path:
    return settings.cache / f"debian-{_SUITE}-postgresql-17"


def data_folder(settings: ServerSettings) -> Path:
    return settings.home / "postgres"


def build_root(settings: ServerSettings, *, codename: str, lock: int, report: Report) -> None:
    """debootstrap the root into the cache, once. The folder appears under its name when it is complete.

    Errors: ServerError when the machine's apt sources name no Debian mirror, or debootstrap fails.
    """
    folder = root_folder(settings)
    if folder.is_dir():
        return
    mirror = debian_mirror(machine_sources(), codename)
    if mirror is None:
        raise ServerError(
            f"no Debian mirror: none of the sources in /etc/apt has the suite {codename} with the component main. "
            "PostgreSQL with TimescaleDB is fetched from the mirror that apt uses"
        )
    report(f"building a Debian {_SUITE} root with PostgreSQL and TimescaleDB from {mirror} (about 700 MB, once)")
    partial = folder.with_name(folder.name + ".partial")
    remove_tree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    # debootstrap mounts /proc into the folder: in a namespace of its own no mount can survive an interruption.
    run(
        [
            *("unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase"),
            *(f"--include={','.join(_PACKAGES)}", _SUITE, str(partial), mirror),
        ],
        log=settings.home / "log" / "debootstrap.log",
        what=f"debootstrap of Debian {_SUITE}",
        lock=lock,
        environment={"DEBIAN_FRONTEND": "noninteractive", **proxy_environment()},
    )
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)  # 100 MB of packages, all unpacked
    partial.replace(folder)


def read_or_make_password(settings: ServerSettings) -> str:
    """The superuser's password: generated once, kept in the data folder, readable by the owner only.

    Without one, every user of the machine could run programs as the server's user (COPY … PROGRAM).
    """
    file = settings.home / "postgres-password"
    if not file.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(file.name + ".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(18))
        partial.replace(file)
    return file.read_text().strip()


def initialise(settings: ServerSettings, *, password: str, lock: int, report: Report) -> None:
    """initdb, once. An interrupted one is begun again."""
    folder = data_folder(settings)
    if (folder / "data").is_dir():
        return
    report("creating PostgreSQL's data folder")
    user, group = _inner_user(root_folder(settings))
    remove_tree(folder)
    folder.mkdir(parents=True, mode=0o700)
    password_file = folder / "password"
    password_file.write_text(password)
    for path in (folder, password_file):
        os.chown(path, user, group)
    password_file.chmod(0o600)
    run(
        _inside(
            settings,
            "initdb",
            *(f"--pgdata={_INSIDE}/partial", f"--username={USER}", f"--pwfile={_INSIDE}/password"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"),
        ),
        log=settings.home / "log" / "initdb.log",
        what="initdb",
        lock=lock,
    )
    password_file.unlink()
    (folder / "partial").replace(folder / "data")


def server_settings(settings: ServerSettings, *, memory_bytes: int) -> dict[str, str]:
    """What differs from PostgreSQL's defaults, as settings of its command line; memory_bytes is the machine's."""
    megabytes = max(128, min(1024, memory_bytes // 2**20 // 8))
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(settings.postgres_port),
        "unix_socket_directories": "",
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # An eighth of memory, at most 1 GiB: enough for the chunk being written with its index; Kafka's log needs the
        # page cache of the same machine more.
        "shared_buffers": f"{megabytes}MB",
        # Bulk loading writes WAL at 100 MB/s: at the default of 1 GB a checkpoint would begin every few seconds, and
        # after each one the next change of every page writes the whole page again.
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "lz4",
        # Indexes a chunk of some million rows in memory, 1.2 times as fast as the default's 64 MB with files do.
        "maintenance_work_mem": "256MB",
        # Each database with TimescaleDB keeps a background scheduler; the tests make a database each.
        "timescaledb.max_background_workers": "16",
        "max_worker_processes": "27",  # TimescaleDB's 16, its launcher, PostgreSQL's own 8, and room for two more
    }


def command(settings: ServerSettings) -> list[str]:
    """What runs the server in the foreground."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    options: list[str] = []
    for key, value in server_settings(settings, memory_bytes=memory).items():
        options += ["-c", f"{key}={value}"]
    return _inside(settings, "postgres", "-D", f"{_INSIDE}/data", *options)


def create_database(dsn: str) -> None:
    """Make the database of `dsn` and the extension in it, where they are missing."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(dsn, dbname="postgres", autocommit=True, connect_timeout=10) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")


def _inside(settings: ServerSettings, program: str, *arguments: str) -> list[str]:
    """A command that becomes a PostgreSQL program inside the root; exec all the way, so the process number stays."""
    enter = ["/bin/sh", "-c", _ENTER_ROOT, "sh", str(root_folder(settings)), str(data_folder(settings))]
    return ["unshare", "--mount", "--propagation", "private", *enter, f"{_PROGRAMS}/{program}", *arguments]


def _inner_user(root: Path) -> tuple[int, int]:
    """User and group number of `postgres` inside the root."""
    for line in (root / "etc/passwd").read_text().splitlines():
        name, _, user, group, *_ = line.split(":")
        if name == "postgres":
            return int(user), int(group)
    raise ServerError(f"{root} has no user postgres: it is damaged; delete it and bring the servers up again")
