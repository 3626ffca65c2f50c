"""Other people's clients on the real servers. They come from Debian's kcat, postgresql-client and redis-tools; and
from Maven, which needs default-jdk-headless and maven."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping

import pytest

from interop.java_programs import JavaPrograms, java_programs
from pseudofeed.settings import Connections


@pytest.fixture(autouse=True)
def needs_servers(connections: Connections) -> None:
    del connections


@pytest.fixture
def client() -> Callable[..., str]:
    """Run a client and return what it prints; the test is skipped where it is not installed."""

    def run(name: str, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed (Debian: kcat, postgresql-client, redis-tools)")
        ended = subprocess.run(
            [path, *arguments], env={"PATH": "/usr/bin:/bin", **(environ or {})}, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="session")
def java(connections: Connections) -> JavaPrograms:
    """The first test that wants it, on a machine without the jars, also waits for their download: time_limit(600)."""
    del connections  # without servers nothing is built
    return java_programs()
