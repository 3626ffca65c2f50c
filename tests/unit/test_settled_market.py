"""What a market has settled stays with it: its start and its timetable, whatever library of calendars is installed."""

from __future__ import annotations

import functools
import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pseudofeed.bus.markets import MarketRecord, read_market, register_market
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.errors import LibraryError, MarketChanged, MarketFileError, MarketWarning, SimulationError
from pseudofeed.market import Market, exchange, settle
from pseudofeed.market.exchange import resolve_timetable
from pseudofeed.market.freeze import market_file_text
from pseudofeed.market.settle import reach, start_notes
from pseudofeed.market.timetable import Timetable
from pseudofeed.publish._publish import MockCluster
from pseudofeed.simulate.heston_model import simulate_heston_paths
from pseudofeed.times import parse_time

pytest.importorskip("exchange_calendars")

TEXT = """
[market]
name = "tokyo"
seed = 5
[clock]
start = 2024-05-02T00:00:00Z
step = "30min"
calendar = "XTKS"
overnight_variance = 0.25
[factors]
names = ["market"]
volatilities = [0.2]
[instruments]
count = 3
"""


@pytest.fixture
def kafka() -> Iterator[dict[str, str]]:
    with MockCluster() as cluster:
        cluster.create_topic(MARKETS_TOPIC, 1)
        yield {"bootstrap.servers": cluster.bootstrap_servers}


def another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that knows another holiday, 2024-05-13."""

    def resolve(name: str, start_ns: int, end_ns: int | None = None) -> Timetable:
        table = resolve_timetable(name, start_ns, end_ns).to_table()
        days = table["days"]
        assert isinstance(days, list)
        days = sorted([*days, "2024-05-13 closed"])
        return Timetable.of_table({**table, "days": days, "source": "exchange_calendars 99"})

    monkeypatch.setattr(settle, "resolve_timetable", resolve)


def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange._calendar_names.cache_clear()
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)


def test_what_was_asked_before_changes_nothing() -> None:
    market = Market.loads(TEXT)
    before = market.simulate(3)
    assert market.clock.step_at(parse_time("2026-01-01T00:00:00Z")) > 4000
    after = market.simulate(3)
    assert np.array_equal(before.prices, after.prices)
    assert np.array_equal(before.prices, market.simulate(4500).prices[:4])


def test_a_registered_market_keeps_its_timetable(kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    given = Market.loads(TEXT)
    record = register_market(kafka, given)
    assert start_notes(given, record.market) == []
    another_library(monkeypatch)
    again = Market.loads(TEXT)
    assert again.fingerprint != record.fingerprint
    for market in (again, unsettled(), pickle.loads(pickle.dumps(again))):
        assert register_market(kafka, market) == record
        (note,) = start_notes(market, record.market)
        assert "keeps the timetable that it was registered with (exchange_calendars " in note
        assert note.endswith("would first differ on 2024-05-13")
    with pytest.raises(MarketChanged, match=r"market\.seed: 5 -> 6"):
        register_market(kafka, Market.loads(TEXT.replace("seed = 5", "seed = 6")))
    with pytest.raises(MarketChanged, match=r"clock\.step: .*30min"):
        register_market(kafka, Market.loads(TEXT.replace("30min", "15min")))
    # A timetable that the file itself names is part of what it says.
    frozen = Market.loads(market_file_text(again.specification))
    with pytest.raises(MarketChanged, match=r"clock\.timetable\.days.*2024-05-13 closed"):
        register_market(kafka, frozen)


def unsettled() -> Market:
    return Market._read(
        Market.loads(TEXT).specification | {"clock": {"start": "2024-05-02T00:00:00Z", "step": "30min",
                                                      "calendar": "XTKS", "overnight_variance": 0.25}},
        file="m.toml", ask_library=True, settle=False,
    )  # fmt: skip


def test_without_a_library_a_registered_market_goes_on_and_a_new_one_says_what_to_install(
    kafka: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = register_market(kafka, Market.loads(TEXT))
    (tmp_path / "m.toml").write_text(TEXT)
    no_library(monkeypatch)
    market = Market.load(tmp_path / "m.toml", settle=False)
    assert not market.is_settled
    with pytest.raises(MarketFileError, match="its timetable is not resolved yet"):
        _ = market.fingerprint
    assert register_market(kafka, market) == record
    assert start_notes(market, record.market) == []
    assert read_market(kafka, "tokyo").market.simulate(3).time[-1] == record.market.clock.times(3, 1)[0]
    with pytest.raises(LibraryError, match=r"pip install 'pseudofeed\[calendar\]'"):
        market.settled()
    with pytest.raises(LibraryError, match=r"market freeze"):
        Market.load(tmp_path / "m.toml")


def test_a_library_that_breaks_at_its_import_is_one_message(tmp_path: Path) -> None:
    """exchange_calendars and pyarrow that were built or written for another numpy or pandas."""
    for name in ("exchange_calendars", "pyarrow"):
        (tmp_path / f"{name}.py").write_text("raise AttributeError('module numpy has no attribute bool8')")
    program = """
from pseudofeed.errors import LibraryError
from pseudofeed.market.exchange import resolve_timetable
from pseudofeed.records.arrow import arrow_library
for call in (lambda: resolve_timetable("XNYS", 0), lambda: arrow_library(needed_for="this")):
    try:
        call()
    except LibraryError as problem:
        print(problem)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=120, text=True, env={"PYTHONPATH": str(tmp_path)}
    )
    calendars, arrow = found.stdout.splitlines()
    assert calendars.startswith("exchange_calendars can't be imported: AttributeError: module numpy has no attribute")
    assert arrow.startswith("this needs pyarrow, which can't be imported: AttributeError: module numpy")


def test_a_process_without_the_library_makes_the_same_ticks() -> None:
    market = Market.loads(TEXT)
    record = MarketRecord("tokyo", market.specification, 4, 1, market.fingerprint).to_json()
    program = """
import sys
sys.modules["exchange_calendars"] = None
from pseudofeed.bus.markets import MarketRecord
market = MarketRecord.from_json("tokyo", sys.stdin.buffer.read()).market
paths = market.simulate(2000)
print(market.fingerprint, paths.prices[-1].tobytes().hex(), paths.time.sum())
"""
    found = subprocess.run([sys.executable, "-c", program], input=record, capture_output=True, check=True, timeout=120)
    paths = market.simulate(2000)
    assert found.stdout.decode().split() == [
        str(market.fingerprint), paths.prices[-1].tobytes().hex(), str(paths.time.sum()),
    ]  # fmt: skip


def test_a_frozen_file_is_the_same_market_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market.loads(TEXT.replace("[clock]", "[clock]\nend = 2024-12-30T06:30:00Z"))
    text = market_file_text(market.specification)
    no_library(monkeypatch)
    frozen = Market.loads(text)
    assert frozen == market
    assert frozen.specification == market.specification
    assert np.array_equal(frozen.simulate().prices, market.simulate().prices)
    assert market_file_text(frozen.specification) == text
    assert Market.loads(text.replace('"XTKS"', '"MINE"')).clock == market.clock
    sample = Market.sample(instruments=3)
    assert Market.loads(market_file_text(sample.specification)) == sample
    with pytest.raises(MarketFileError, match=r"clock\.timetable: found a table; days\[0\]: .*; see docs/market-file"):
        Market.loads(text.replace("2024-05-03 closed", "2024-05-03 shut"))
    with pytest.raises(MarketFileError, match=r"clock\.timetable: found a table; there must be none"):
        Market.loads(text.replace('calendar = "XTKS"', 'calendar = "24/7"').replace("= 0.25", "= 0"))


def test_now_has_no_fingerprint_until_it_has_started(kafka: dict[str, str]) -> None:
    market = Market.loads(TEXT.replace("2024-05-02T00:00:00Z", '"now"'))
    with pytest.raises(MarketFileError, match=r'clock\.start is "now"'):
        _ = market.fingerprint
    assert market == Market.loads(TEXT.replace("2024-05-02T00:00:00Z", '"now"'))
    assert market != Market.loads(TEXT)
    assert "not settled" in repr(market)
    record = register_market(kafka, market)
    assert record.market.clock.timetable is not None
    assert register_market(kafka, market) == record


def test_the_record_is_small() -> None:
    market = Market.loads(TEXT)
    assert len(MarketRecord("tokyo", market.specification, 4, 1, market.fingerprint).to_json()) < 20_000


def test_how_far_a_market_reaches_is_said() -> None:
    market = Market.loads(TEXT)
    steps = market.clock.step_at(market.clock.known_until_ns)
    assert reach(market) == f"market tokyo: its timetable reaches to 2044-05-02T00:00:00Z, step {steps}"
    with pytest.raises(SimulationError, match=r"beyond its timetable, which ends at 2044-05-02T00:00:00Z"):
        next(market.stream(start_step=steps, steps=2))
    ending = Market.loads(TEXT.replace("[clock]", "[clock]\nend = 2024-05-02T06:30:00Z"))
    assert ending.last_step == 10
    assert reach(ending) == "market tokyo ends at 2024-05-02T06:30:00Z, with step 10"
    assert reach(Market.sample()) is None
    with pytest.warns(
        MarketWarning, match=r"knows the calendar only until 2027-01-01T00:00:00Z: the market ends there"
    ):
        Market.loads(TEXT.replace("XTKS", "XSHG").replace("2024-05-02", "2026-05-06"))


def test_the_step_that_a_market_is_said_to_reach_is_its_last() -> None:
    """The timetable of a start in the middle of a session ends in the middle of one, which trades on to its close."""
    market = Market.loads(TEXT.replace("T00:00:00Z", "T02:00:00Z"))
    last = market.clock.last_known_step
    assert market.clock.times(last, 1)[0] > market.clock.known_until_ns
    assert reach(market) == f"market tokyo: its timetable reaches to 2044-05-02T02:00:00Z, step {last}"
    with pytest.raises(SimulationError, match=f"step {last + 1} .* beyond its timetable, .* after step {last}"):
        market.clock.times(last + 1, 1)


def test_a_market_with_an_end_needs_no_steps() -> None:
    text = TEXT.replace("[clock]", "[clock]\nend = 2024-05-07T06:00:00Z")
    market = Market.loads(text)
    whole = market.simulate()
    assert len(whole.time) == 1 + 10 * 2
    assert whole.time[-1] == market.clock.end_ns
    blocks = list(market.stream(block_steps=7))
    assert np.array_equal(np.concatenate([block.prices for block in blocks]), whole.prices[1:])
    assert next(iter(market.stream(start_step=21)), None) is None
    with pytest.raises(SimulationError, match=r"step 21 .* its last step, 20: clock\.end is"):
        market.simulate(21)
    with pytest.raises(ValueError, match="steps: is missing"):
        Market.loads(TEXT).simulate()
    with pytest.raises(MarketFileError, match=r"clock\.end: found .*; must be after clock\.start"):
        Market.loads(TEXT.replace("[clock]", "[clock]\nend = 2024-05-02T00:00:00Z"))
    with pytest.raises(MarketFileError, match=r"clock\.end: found .*; no step of 30min ends before it"):
        Market.loads(TEXT.replace("[clock]", "[clock]\nend = 2024-05-02T00:10:00Z"))


def test_hardly_meant_markets_warn() -> None:
    text = TEXT.replace('"30min"', '"366d"').replace('calendar = "XTKS"\novernight_variance = 0.25\n', "")
    with pytest.warns(MarketWarning, match=r"euler with kappa dt = \d"):
        Market.loads(text)
    Market.loads(text.replace("[factors]", "[simulation]\nscheme = 'qe'\n[factors]"))
    for start in ("2024-05-02T00:00:00Z", "now"):
        with pytest.warns(
            MarketWarning, match=r"^Market\.sample: simulation\.scheme: euler with kappa dt = \d"
        ) as caught:
            Market.sample(step="366d", start=start)
        assert caught[0].filename == __file__
    heston: dict[str, Any] = {
        **{"initial_prices": [1.0, 1.0], "initial_variances": 0.04, "drift": 0.0, "kappa": [1.0, 4.0], "theta": 0.04},
        **{"xi": 0.1, "rho": 0.0, "dt": 1.0, "factor_increments": [[0.0]], "factor_loadings": [[1.0], [1.0]]},
        **{"idiosyncratic_volatility": 0.0, "seed": 1},
    }
    with pytest.warns(MarketWarning, match=r"^scheme: euler with kappa dt = 4 \(instrument 1\); above 1") as caught:
        simulate_heston_paths(**heston)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate_heston_paths(**heston, scheme="qe")
        simulate_heston_paths(**heston, substeps=4)
        Market.sample()
    unnamed = Market.loads(TEXT.replace("seed = 5\n", ""))
    assert "names no market.seed" in start_notes(unnamed, unnamed)[0]
    with pytest.raises(MarketFileError, match=r"clock\.step: found \"2d\"; must be at most 1d with an exchange"):
        Market.loads(TEXT.replace('"30min"', '"2d"'))


def test_a_specification_is_complete() -> None:
    specification = Market.loads(TEXT).specification
    assert json.loads(json.dumps(specification)) == specification
    for table, key in (("market", "seed"), ("clock", "end"), ("simulation", "path"), ("instruments", "drift")):
        cut = json.loads(json.dumps(specification))
        del cut[table][key]
        with pytest.raises(MarketFileError, match=rf"not complete: {table}\.{key} is missing"):
            Market.from_specification(cut)
    places = (
        ("factors", "correlations"),
        ("factors", "drifts"),
        ("instruments", "defaults", "kappa"),
        ("instruments", "defaults", "factor_loadings"),
        ("clock", "timetable", "days"),
        ("clock", "timetable", "source"),
    )
    for *above, key in places:
        for null in (False, True):
            cut = json.loads(json.dumps(specification))
            table = functools.reduce(dict.__getitem__, above, cut)
            if null and above[-1] != "timetable":
                table[key] = None
            else:
                del table[key]
            with pytest.raises(MarketFileError, match=rf"not complete: {'.'.join(above)}\.{key} is missing"):
                Market.from_specification(cut)
    cut = json.loads(json.dumps(specification))
    del cut["instruments"]["defaults"]["kappa"]
    with pytest.raises(MarketFileError, match=r"not complete: instruments\.defaults\.kappa"):
        Market.from_specification(cut)
