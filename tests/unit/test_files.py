"""Files and pictures of a run: what they are called, what they hold, and who sees the progress."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from pseudofeed.errors import UnknownSymbol
from pseudofeed.market import Market
from pseudofeed.simulate import paths as paths_module
from pseudofeed.simulate import progress
from pseudofeed.simulate.files import csv_name

MARKET = """
    market = { name = "files" }
    clock = { start = 2026-03-02T14:30:00Z }
    factors = { names = ["f"], volatilities = [0.1] }
    [[instruments.list]]
    symbol = "factors"
    [[instruments.list]]
    symbol = "FACTORS"
    [[instruments.list]]
    symbol = "A:B"
"""
PATHS = Market.loads(MARKET).simulate(7)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_symbol_named_factors_does_not_overwrite_the_factors(tmp_path: Path) -> None:
    PATHS.to_csv(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "%46ACTORS.csv", "%66actors.csv", "A%3AB.csv", "factors.csv",
    ]  # fmt: skip
    factors = pd.read_csv(tmp_path / "factors.csv")
    assert list(factors.columns) == ["timestamp", "f_increment", "f_level"]
    for column, symbol in enumerate(PATHS.symbols):
        assert unquote(csv_name(symbol)) == f"{symbol}.csv"
        frame = pd.read_csv(tmp_path / csv_name(symbol))
        assert np.allclose(frame["price"], PATHS.prices[1:, column], rtol=1e-15, atol=0)


def test_parquet_written_in_parts_holds_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PATHS.to_parquet(tmp_path / "whole.parquet")
    monkeypatch.setattr(paths_module, "_ROW_GROUP", 6)
    PATHS.to_parquet(tmp_path / "parts.parquet")
    whole, parts = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert len(whole) == 21
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)


def test_progress_is_for_people_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    PATHS.to_csv(tmp_path)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    PATHS.to_csv(tmp_path)
    shown = terminal.getvalue()
    assert "writing" in shown
    assert "21 ticks" in shown
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)  # short work is not shown
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    PATHS.to_csv(tmp_path)
    assert terminal.getvalue() == ""


def test_a_picture_of_some_instruments(tmp_path: Path) -> None:
    figure = PATHS.plot(tmp_path / "paths.png", symbols=["A:B"], title="Files")
    price, volatility, level = figure.axes
    (line,) = price.lines
    assert line.get_label() == "A:B"
    assert np.array_equal(line.get_ydata(), 100 * PATHS.prices[:, 2] / PATHS.prices[0, 2])
    assert np.array_equal(volatility.lines[0].get_ydata(), 100 * np.sqrt(np.maximum(PATHS.variances[:, 2], 0)))
    assert np.array_equal(level.lines[0].get_ydata(), 100 * PATHS.factor_levels[:, 0])
    assert (tmp_path / "paths.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(UnknownSymbol, match='no instrument "AB"; they have factors, FACTORS, A:B'):
        PATHS.plot(symbols=["AB"])
