"""Every test in this folder needs the servers: without them it is skipped, and in CI that is a failure."""

from __future__ import annotations

import pytest

from pseudofeed.settings import Connections


@pytest.fixture(autouse=True)
def needs_servers(connections: Connections) -> None:
    del connections
