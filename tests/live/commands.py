"""The `pseudofeed` command as a user starts it: a process, settings in its environment, output looked at afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pseudofeed.settings import Connections

MARKET = """
[market]
name = "{name}"
seed = {seed}
[clock]
start = 2026-03-02T14:30:00Z
step = "{step}"
[factors]
names = ["market", "size"]
volatilities = [0.16, 0.08]
correlations = [[1.0, 0.2], [0.2, 1.0]]
[instruments]
count = {instruments}
"""


def market_file(
    folder: Path, name: str, *, instruments: int = 20, seed: int = 5, step: str = "1s", file: str = "market.toml"
) -> Path:
    path = folder / file
    path.write_text(MARKET.format(name=name, instruments=instruments, seed=seed, step=step))
    return path


_started: list[subprocess.Popen[str]] = []


def session(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """All that runs in the command's session, itself included."""
    found = []
    for other in psutil.process_iter():
        try:
            if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                found.append(other)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.fixture
def no_command_stays() -> Iterator[None]:
    """Whatever a failed test leaves running is ended."""
    yield
    while _started:
        process = _started.pop()
        for left in session(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        process.wait()


def start(connections: Connections, folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """The command in a session of its own, as a terminal gives it."""
    settings = {
        "PSEUDOFEED_KAFKA": connections.require_kafka()["bootstrap.servers"],
        "PSEUDOFEED_REDIS": connections.require_redis(),
        "PSEUDOFEED_POSTGRES": connections.require_postgres(),
        "PYTHONFAULTHANDLER": "1",  # see `result`
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pseudofeed", *(str(argument) for argument in arguments)],
        env={**os.environ, **settings},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _started.append(process)
    return process


def result(process: subprocess.Popen[str], *, code: int = 0, timeout: float = 100) -> dict[str, Any]:
    """What a command with --json has printed last, after it ended as it should, with nothing to complain about. One
    that does not end says where all its threads are."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate(timeout=10)
        pytest.fail(f"{process.args!r} did not end within {timeout:g} s: {out}{err}")
    assert (process.returncode, err) == (code, ""), f"exit code {process.returncode}: {out}{err}"
    found = json.loads(out.splitlines()[-1])
    assert isinstance(found, dict)
    return found
