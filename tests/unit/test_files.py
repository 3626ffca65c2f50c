"""Files and pictures of a run: what they hold, and who sees the progress."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from pseudofeed.errors import SettingsError, UnknownSymbol
from pseudofeed.market import Market
from pseudofeed.simulate import progress
from pseudofeed.simulate.export import export_market
from pseudofeed.simulate.files import csv as csv_module
from pseudofeed.simulate.files.names import portable_names
from pseudofeed.simulate.paths import TickBlock

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    PATHS.to_csv(tmp_path / "out")
    names = portable_names(PATHS.symbols)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.csv")) == sorted(
        ["factors.csv", *(f"{name}.csv" for name in names)]
    )
    factors = pd.read_csv(tmp_path / "out" / "factors.csv")
    assert list(factors.columns) == ["timestamp", "f_increment", "f_level"]
    for column, name in enumerate(names):
        frame = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert np.allclose(frame["price"], PATHS.prices[1:, column], rtol=1e-15, atol=0)


def test_csv_written_in_parts_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PATHS.to_csv(tmp_path / "whole")
    for rows, text in ((1, 1), (2, 1), (3, 500)):
        monkeypatch.setattr(csv_module, "_ROWS", rows)
        monkeypatch.setattr(csv_module, "_TEXT", text)
        PATHS.to_csv(tmp_path / "parts")
        for file in (tmp_path / "whole").iterdir():
            assert (tmp_path / "parts" / file.name).read_bytes() == file.read_bytes()


def test_a_walk_writes_all_that_is_asked_for(tmp_path: Path) -> None:
    market = Market.loads(MARKET)
    walks, stream = [], Market.stream

    def counted(market: Market, **named: Any) -> Iterator[TickBlock]:
        walks.append(named)
        return stream(market, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Market, "stream", counted)
        last = export_market(
            market,
            7,
            csv=tmp_path / "csv",
            parquet=tmp_path / "ticks.parquet",
            plot=tmp_path / "market.svg",
            symbols=["A:B"],
        )
    assert walks == [{"steps": 7}]
    assert np.array_equal(last.prices[-1], PATHS.prices[-1])
    assert sorted(file.name for file in (tmp_path / "csv").glob("*.csv")) == ["A%3AB.csv", "factors.csv"]
    assert len(pd.read_parquet(tmp_path / "ticks.parquet")) == 21
    assert "A:B" in (tmp_path / "market.svg").read_text()


def test_progress_is_for_people_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    PATHS.to_csv(tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    PATHS.to_csv(tmp_path / "out")
    shown = terminal.getvalue()
    assert "writing" in shown
    assert "21 ticks" in shown
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)  # short work is not shown
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    PATHS.to_csv(tmp_path / "out")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("start", ["2026-03-02T09:00:00.5Z", "2026-03-02T14:30:00Z"])
def test_paths_and_a_stream_write_the_same_files(tmp_path: Path, start: str) -> None:
    # The exchange is closed at nine: no tick has the fraction of the first start, but the market's times have it.
    clock = f'clock = {{ start = {start}, step = "1min", calendar = "XNYS" }}'
    market = Market.loads(MARKET.replace("clock = { start = 2026-03-02T14:30:00Z }", clock))
    export_market(market, 4, csv=tmp_path / "streamed", parquet=tmp_path / "streamed.parquet")
    market.simulate(4).to_csv(tmp_path / "whole")
    market.simulate(4).to_parquet(tmp_path / "whole.parquet")
    assert (tmp_path / "streamed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    for path in (tmp_path / "streamed").iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


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
    with pytest.raises(SettingsError, match=r"paths\.xyz: matplotlib has no format 'xyz'"):
        PATHS.plot(tmp_path / "paths.xyz")


def test_all_symbols_are_drawn_and_in_the_legend(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    symbols = ["$^$", "_HID", "$a_b$", "^GSPC"]
    rows = "".join(f'[[instruments.list]]\nsymbol = "{symbol}"\n' for symbol in symbols)
    market = Market.loads(MARKET[: MARKET.index("[[")] + rows)
    figure = market.simulate(5).plot(tmp_path / "all.png", title="$^$")
    assert figure.get_suptitle() == "$^$"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == symbols
    assert len(figure.axes[0].lines) == len(symbols)
    export_market(market, 5, plot=tmp_path / "streamed.png", title="$^$")
    assert (tmp_path / "streamed.png").read_bytes()[:4] == b"\x89PNG"
    assert not [str(warning.message) for warning in recwarn]


def test_a_picture_of_a_long_stream_shows_some_of_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pseudofeed.simulate import plot

    drawn, figure = [], plot._figure

    def recorded(curves: plot.Curves, title: str) -> Figure:
        drawn.append(curves)
        return figure(curves, title)

    monkeypatch.setattr(plot, "_POINTS", 10)
    monkeypatch.setattr(plot, "_figure", recorded)
    market = Market.loads(MARKET)
    export_market(market, 105, plot=tmp_path / "x.png")
    start, curves = drawn  # the start is a trial
    assert len(start.time) == 1
    whole = market.simulate(105)
    steps = [0, *range(11, 105, 11), 105]
    assert np.array_equal(curves.time, whole.time[steps])
    assert np.array_equal(curves.prices, whole.prices[steps])
    assert np.array_equal(curves.variances, whole.variances[steps])
    assert np.array_equal(curves.factor_levels, whole.factor_levels[steps])
