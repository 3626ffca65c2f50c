"""Where the servers of `pseudofeed servers` listen and keep their files, and how clients reach them.

Two folders, both outside of any repository: `home` holds everything that a run leaves behind (data, logs, who was
started), `cache` only what can be downloaded again. Ports are deliberately not the servers' defaults, so that nothing
of the machine's own is in the way and a test can never reach a production server by accident.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pseudofeed.errors import SettingsError

__all__ = ["DATABASE", "USER", "Endpoints", "ServerSettings", "ServerStatus"]

USER = "pseudofeed"
DATABASE = "pseudofeed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What `pseudofeed servers` may be told, each by an environment variable.

    kafka_port: PSEUDOFEED_KAFKA_PORT; the controller of the one broker takes the next port, too.
    redis_port, postgres_port: PSEUDOFEED_REDIS_PORT, PSEUDOFEED_POSTGRES_PORT.
    home: PSEUDOFEED_SERVERS_HOME, data and logs. cache: PSEUDOFEED_SERVERS_CACHE, downloads.
    """

    home: Path
    cache: Path
    kafka_port: int = 19092
    redis_port: int = 16379
    postgres_port: int = 15432

    @property
    def kafka_controller_port(self) -> int:
        return self.kafka_port + 1

    def __post_init__(self) -> None:
        ports = (self.kafka_port, self.kafka_controller_port, self.redis_port, self.postgres_port)
        for port in ports:
            if not 1 <= port <= 65535:
                raise SettingsError(f"a server's port is {port}; a port lies in 1..65535")
        if len(set(ports)) != len(ports):
            raise SettingsError(
                "PSEUDOFEED_KAFKA_PORT (and the port after it), PSEUDOFEED_REDIS_PORT and PSEUDOFEED_POSTGRES_PORT "
                f"must differ; they are {', '.join(map(str, ports))}"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ServerSettings:
        """Read the variables named above; what is not set has its default.

        Errors: SettingsError for a port that is not a number in 1..65534, or given twice.
        """
        variables = os.environ if environ is None else environ
        user_home = Path(variables.get("HOME") or Path.home())
        data = Path(variables.get("XDG_DATA_HOME") or user_home / ".local" / "share")
        cache = Path(variables.get("XDG_CACHE_HOME") or user_home / ".cache")
        return cls(
            home=Path(variables.get("PSEUDOFEED_SERVERS_HOME") or data / "pseudofeed" / "servers").absolute(),
            cache=Path(variables.get("PSEUDOFEED_SERVERS_CACHE") or cache / "pseudofeed").absolute(),
            kafka_port=_port(variables, "PSEUDOFEED_KAFKA_PORT", 19092),
            redis_port=_port(variables, "PSEUDOFEED_REDIS_PORT", 16379),
            postgres_port=_port(variables, "PSEUDOFEED_POSTGRES_PORT", 15432),
        )


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How clients reach the servers that are up: what belongs into the three PSEUDOFEED_ variables."""

    kafka: str
    redis: str
    postgres: str = field(repr=False)  # holds the password

    @classmethod
    def of(cls, settings: ServerSettings, *, password: str) -> Endpoints:
        return cls(
            kafka=f"127.0.0.1:{settings.kafka_port}",
            redis=f"redis://127.0.0.1:{settings.redis_port}/0",
            postgres=f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{settings.postgres_port}/{DATABASE}",
        )

    def environment(self) -> dict[str, str]:
        """The variables by which every pseudofeed command finds these servers."""
        return {"PSEUDOFEED_KAFKA": self.kafka, "PSEUDOFEED_REDIS": self.redis, "PSEUDOFEED_POSTGRES": self.postgres}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One server as `pseudofeed servers status` sees it.

    started: by `servers up` and still there. pid: its process, where it runs natively. answers: somebody serves at the
    address. version: what it says it is, e.g. "PostgreSQL 17.11"; None while nobody answers.
    """

    name: str
    address: str
    started: bool
    answers: bool
    version: str | None
    pid: int | None = None


def _port(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, "")
    if not text:
        return default
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65534:
        raise SettingsError(f"{name} is {text!r}; it must be a port number, 1 to 65534")
    return port
