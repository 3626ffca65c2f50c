"""A market with an exchange's calendar through the whole pipe: its timetable travels in its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest

from pseudofeed.market import Market
from pseudofeed.query.client import connect
from pseudofeed.settings import Connections

pytest.importorskip("exchange_calendars")

MARKET = """
[market]
name = "{name}"
seed = 3
[clock]
start = 2026-03-02T00:00:00Z
end = 2026-03-02T06:30:00Z
step = "1s"
calendar = "XTKS"
[factors]
names = ["market"]
volatilities = [0.2]
[instruments]
count = 3
"""

DOCUMENTATION = Path(__file__).parents[2] / "docs/store.md"
DOCUMENTED_BARS = DOCUMENTATION.read_text().split("-- one-minute bars")[1].split("\n", 1)[1].split(";", 1)[0]

WITHOUT_LIBRARY = "import sys; sys.modules['exchange_calendars'] = None; from pseudofeed.cli import main; main()"


def run(connections: Connections, *arguments: str | Path, library: bool = True) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PSEUDOFEED_POSTGRES": connections.require_postgres()}
    program = [sys.executable, "-m", "pseudofeed"] if library else [sys.executable, "-c", WITHOUT_LIBRARY]
    done = subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done


def test_one_day_of_tokyo(plain_connections: Connections, market_name: str, tmp_path: Path) -> None:
    path = tmp_path / "tokyo.toml"
    path.write_text(MARKET.format(name=market_name))
    market = Market.load(path)
    steps = 330 * 60
    assert market.last_step == steps

    # It ends by itself, also where it goes on without a library of calendars.
    assert run(plain_connections, "feed", path, "--steps", "100").returncode == 0
    fed = run(plain_connections, "feed", path, "--json", library=False)
    assert fed.returncode == 0
    assert json.loads(fed.stdout.splitlines()[-1])["last_step"] == steps
    assert fed.stderr == f"market {market_name} ends at 2026-03-02T06:30:00Z, with step {steps}\n"
    beyond = run(plain_connections, "feed", path, "--steps", str(steps + 1))
    assert beyond.returncode == 2
    assert f"step {steps + 1} of a market from 2026-03-02T00:00:00Z lies beyond its last step" in beyond.stderr
    with_path = tmp_path / "path.toml"
    with_path.write_text(path.read_text() + "[simulation]\npath = 1\n")
    refused = run(plain_connections, "feed", with_path)
    assert refused.returncode == 2
    assert "simulation.path: 0 -> 1" in refused.stderr
    assert "each path that is fed needs one" in refused.stderr

    # Workers and verify know the timetable from the record.
    for command in (["cache", market_name], ["store", market_name]):
        assert run(plain_connections, *command, "--until-caught-up", library=False).returncode == 0
    verified = run(plain_connections, "verify", market_name, "--json", library=False)
    assert verified.returncode == 0, verified.stdout

    shown = json.loads(run(plain_connections, "market", "show", market_name).stdout)
    assert (shown["reaches"], shown["last_step"]) == ("2026-03-02T06:30:00Z", steps)
    frozen = run(plain_connections, "market", "freeze", market_name, library=False)
    assert Market.loads(frozen.stdout) == market
    (tmp_path / "frozen.toml").write_text(frozen.stdout)
    assert run(plain_connections, "backfill", tmp_path / "frozen.toml", library=False).returncode == 0

    # A close belongs to the bar before it: 150 minutes before lunch, 180 after it.
    paths = market.simulate()
    symbol = market.symbols[0]
    with connect(market_name, connections=plain_connections) as client:
        bars = client.bars(symbol, "1min")
        assert len(bars) == 330
        assert bars["Volume"].sum() == steps
        assert bars.index[-1] == pd.Timestamp("2026-03-02T06:29Z")
        assert bars["Close"].iloc[-1] == paths.prices[-1, 0]
        lunch = int(np.searchsorted(paths.time, pd.Timestamp("2026-03-02T02:30Z").value))
        assert bars["Close"].loc["2026-03-02T02:29Z"] == paths.prices[lunch, 0]
        # Asked in pieces, each bar is whole and comes once.
        cut = "2026-03-02T02:30Z"
        pieces = [client.bars(symbol, "1min", None, cut), client.bars(symbol, "1min", cut, "2026-03-02T06:30Z")]
        pd.testing.assert_frame_equal(pd.concat(pieces), bars, check_freq=False)
        # So it does in people's own SQL, by what the documentation shows.
        query = DOCUMENTED_BARS.replace("demo", market_name).replace("ALFA", symbol)
        query = query.replace("15:00+00", "00:00+00").replace("16:00+00", "07:00+00")
        with psycopg.connect(plain_connections.require_postgres()) as connection:
            rows = connection.execute(query.encode()).fetchall()
        assert [(row[0], row[4]) for row in rows] == list(zip(bars.index, bars["Close"], strict=True))
        table = client.bars(symbol, "1min", arrow=True)
        assert table.column("close").to_pylist() == bars["Close"].tolist()
