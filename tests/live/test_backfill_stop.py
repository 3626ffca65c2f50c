"""A backfill ends soon when it is asked to, however long its batches take."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from live.commands import market_file, no_command_stays, result, start
from pseudofeed.settings import Connections

__all__ = ["no_command_stays"]
pytestmark = pytest.mark.usefixtures("no_command_stays")


def test_a_stop_is_heard_in_the_middle_of_a_batch(plain_connections: Connections, tmp_path: Path) -> None:
    """A batch, and a row group of the file, would take minutes to simulate."""
    file = market_file(tmp_path, "slow")
    file.write_text(file.read_text() + "[simulation]\nsubsteps = 65536\n")
    for files in ([], ["--no-store", "--parquet", "files"]):
        process = start(plain_connections, tmp_path, "backfill", file, "--to", "60000", "--json", *files)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        found = result(process, timeout=10)
        assert (found["ticks"], found["steps_left"]) == (0, 60_000)
    assert list((tmp_path / "files").rglob("*.parquet")) == []
