"""The fingerprint: what is hashed, what is left out, and that what was registered stays readable."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pseudofeed
from pseudofeed.errors import MarketFileError
from pseudofeed.market import Market, specification
from pseudofeed.market.parameters import LOADING, PARAMETERS, InstrumentParameters
from pseudofeed.market.specification import ENTRIES, Entry, fingerprint_of, hashed_form
from pseudofeed.random import _random

FROZEN = """
[market]
name = "golden"
seed = 11
[clock]
start = 2026-03-02T00:00:00Z
step = "1h"
calendar = "MINE"
%s
[clock.timetable]
regular_session = "6h"
until = "2026-04-01T00:00:00Z"
weekdays = "Mon Tue Wed Thu Fri"
hours = ["2026-03-02 08:00/14:00"]
[simulation]
%s
[factors]
names = ["market", "size"]
volatilities = [0.2, 0.1]
drifts = [0.1, -0.05]
[instruments]
count = 4
%s
"""
pytestmark = pytest.mark.filterwarnings("ignore:.*knows the calendar only until")
PLAIN = FROZEN % ("", "", "")

# Registered markets carry their fingerprint: whoever changes one here makes every existing topic unreadable.
GOLDEN = {
    "timetable": (PLAIN, 0x2446C791E3D84540),
    "end": (FROZEN % ("end = 2026-03-10T00:00:00Z", "", ""), 0xB15E1CD810C4E49B),
    "nights": (FROZEN % ("overnight_variance = 0.5", "", ""), 0xCE7778CC0A3B8BA2),
    "path": (FROZEN % ("", "path = 3", ""), 0x4315E24C985BC156),
    "drift": (FROZEN % ("", "", 'drift = "alpha"'), 0xF3375013D0457359),
}


def store_sql() -> str:
    folder = Path(pseudofeed.__file__).parent / "store" / "sql"
    return "".join(path.read_text() for path in sorted(folder.glob("*.sql")))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_fingerprints(name: str) -> None:
    text, fingerprint = GOLDEN[name]
    market = Market.loads(text)
    assert market.fingerprint == fingerprint
    assert Market.from_specification(market.specification) == market
    form = hashed_form(market.specification)
    always = {"model", "market", "clock", "simulation", "factors", "instruments", "timetable"}
    assert form.keys() == always | ({name} if name != "timetable" else set())
    canonical = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert market.fingerprint == int(hashlib.sha256(canonical.encode()).hexdigest()[:16], 16)


def test_a_neutral_part_is_left_out_whole() -> None:
    form = hashed_form(Market.sample().specification)
    assert form.keys() == {"model", "market", "clock", "simulation", "factors", "instruments"}
    assert not {"end", "calendar_source", "path", "drift", "timetable"} & json.loads(json.dumps(form))["clock"].keys()


def test_a_later_feature_changes_no_fingerprint_of_a_market_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market.sample()
    before = market.fingerprint

    def jumps(tables: dict[str, Any]) -> object:
        return tables.get("jumps", {"intensity": 0.0})

    monkeypatch.setattr(specification, "ENTRIES", (*ENTRIES, Entry("jumps", jumps, neutral={"intensity": 0.0})))
    assert fingerprint_of(market.specification) == before
    assert fingerprint_of({**market.specification, "jumps": {"intensity": 1.0}}) != before


def test_paths_share_parameters_and_nothing_else() -> None:
    market = Market.sample(instruments=4, seed=2**63 + 5)
    assert market.key == market.seed
    assert market.with_path(0) == market
    third = market.with_path(3)
    words = _random.philox4x32((3, 0, 0, 4), (market.seed & 0xFFFFFFFF, market.seed >> 32))
    assert third.key == words[0] | words[1] << 32
    assert third.seed == market.seed
    assert third.path == 3
    assert third != market
    for name, array in third.instruments.arrays.items():
        assert np.array_equal(array, market.instruments.arrays[name])
    paths = market.simulate(50, path=3)
    assert np.array_equal(paths.prices, third.simulate(50).prices)
    assert np.array_equal(paths.prices[0], market.simulate(50).prices[0])
    assert (paths.prices[1:] != market.simulate(50).prices[1:]).all()
    (block,) = market.stream(steps=50, path=3, block_steps=50)
    assert np.array_equal(block.factor_levels, paths.factor_levels[1:])
    with pytest.raises(ValueError, match="path: found -1, must be a whole number from 0 to 4294967295"):
        market.with_path(-1)
    with pytest.raises(MarketFileError, match=r"simulation\.path: found 4294967296; must be a whole number"):
        Market.loads(FROZEN % ("", "path = 4294967296", ""))


def test_alpha_is_what_is_left_of_the_drift_beside_the_factors() -> None:
    total, alpha = Market.loads(PLAIN), Market.loads(GOLDEN["drift"][0])
    loadings = total.instruments.factor_loadings
    expected = total.instruments.drift + loadings[:, 0] * 0.1 + loadings[:, 1] * -0.05
    assert np.array_equal(alpha.instruments.drift, expected)
    with pytest.raises(
        MarketFileError, match=r"instruments\.drift: with alpha, .* add up to -?\d+.*; must be a number"
    ):
        Market.loads(
            GOLDEN["drift"][0].replace("[0.1, -0.05]", "[100, -100]")
            + "\n[instruments.defaults]\nfactor_loadings = [9.0, 1.0]"
        )


def test_a_parameter_is_declared_once() -> None:
    table = re.search(r"CREATE TABLE[^;]*?\binstrument \((.*?)\n\)", store_sql(), re.DOTALL)
    assert table
    for name in [*(parameter.name for parameter in PARAMETERS), LOADING.name]:
        assert re.search(rf"^\s+{name} ", table[1], re.MULTILINE), name
    instruments = Market.sample(instruments=2).instruments
    assert list(instruments.arrays) == [*(parameter.name for parameter in PARAMETERS), LOADING.name]
    assert set(instruments.arrays) <= set(dir(instruments))
    with pytest.raises(AttributeError, match="has no parameter 'sigma'"):
        _ = instruments.sigma
    with pytest.raises(AssertionError):
        InstrumentParameters(drift=[0.0])
