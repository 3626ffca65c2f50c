"""Ports for servers of a test's own. Two processes that run tests side by side never look at the same ones: between the
look and the start of the server, the other one might find them free, too."""

from __future__ import annotations

import os
import socket

from pseudofeed.servers.embedded import free_ports

__all__ = ["free_port"]

BLOCK = 8  # neighbouring ports belong to the same process
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# A process that crashed has a successor with a higher number.
OURS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES


def free_port(*, in_a_row: int = 1) -> int:
    """The first of so many free ports."""
    while True:
        (first,) = free_ports(1)
        if first // BLOCK % PROCESSES != OURS or first % BLOCK + in_a_row > BLOCK:
            continue
        try:
            for port in range(first + 1, first + in_a_row):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
