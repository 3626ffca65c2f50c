"""The whole pipe against the real servers: simulate -> Kafka -> Redis and the store with its index, all committed.

Beside it, in the same run, what a competent user would write: peers/pipeline.py, each tick a struct or JSON. Needs
PSEUDOFEED_KAFKA, PSEUDOFEED_REDIS and PSEUDOFEED_POSTGRES (`make bench` sets them). A round of ours is a new market in
a database of its own, since a chunk that other markets have filled has its index already; the figure is ticks a second
up to the last commit, and until the index is there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from live_servers import fresh_database
from pseudofeed.settings import Connections

TICKS, INSTRUMENTS = 1_000_000, 100
PEER = Path(__file__).parent / "peers" / "pipeline.py"

pytestmark = pytest.mark.skipif(
    not {"PSEUDOFEED_KAFKA", "PSEUDOFEED_REDIS", "PSEUDOFEED_POSTGRES"} <= os.environ.keys(),
    reason="needs the three servers' variables",
)


def peer(encoding: str) -> float:
    """Ticks a second until the last row of the plain pipeline was committed."""
    command = [sys.executable, str(PEER), str(TICKS), str(INSTRUMENTS), encoding]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    stored = re.search(r"stored\s+([\d.]+) k ticks/s", output)
    assert stored, output
    return float(stored[1]) * 1e3


def ours(folder: Path, *, stores: int) -> float:
    """Ticks a second of `pseudofeed run` up to its last commit and index."""
    market, name = folder / "market.toml", f"bench-{uuid.uuid4().hex[:8]}"
    market.write_text(
        f"""[market]
name = "{name}"
seed = 7
[clock]
start = 2026-03-02T14:30:00Z
step = "1s"
[factors]
names = ["market", "size", "value"]
volatilities = [0.16, 0.08, 0.06]
correlations = [[1.0, 0.3, 0.3], [0.3, 1.0, 0.3], [0.3, 0.3, 1.0]]
[instruments]
count = {INSTRUMENTS}
"""
    )
    with fresh_database(Connections.resolve()) as own:
        environment = os.environ | {"PSEUDOFEED_POSTGRES": own.require_postgres()}

        def pseudofeed(*arguments: str) -> str:
            command = [sys.executable, "-m", "pseudofeed", *arguments]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True, timeout=600
            ).stdout

        pseudofeed("store", "--migrate")
        options = ("--steps", str(TICKS // INSTRUMENTS), "--store-workers", str(stores), "--json")
        summary = json.loads(pseudofeed("run", str(market), *options).splitlines()[-1])
        pseudofeed("market", "drop", name, "--yes")
    assert summary["ticks"] == TICKS
    return float(summary["ticks_per_second"])


@pytest.mark.parametrize(
    "who", ["peer struct", "peer json", "pseudofeed, 1 store worker", "pseudofeed, 2 store workers"]
)
def test_pipeline(benchmark: BenchmarkFixture, who: str, tmp_path: Path) -> None:
    rates: list[float] = []

    def round_() -> None:
        kind, which = who.split()[:2]
        rates.append(peer(which) if kind == "peer" else ours(tmp_path, stores=int(which)))

    benchmark.group = f"simulate, stream, cache and store {TICKS} ticks of {INSTRUMENTS} instruments"
    benchmark.pedantic(round_, rounds=3)
    benchmark.extra_info["ticks_per_second"] = sorted(rates)[1]
