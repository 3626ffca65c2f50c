"""The market: its identity, its draws, and what it promises to those who register it."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from pseudofeed.errors import MarketFileError, StoreError, UnknownSymbol
from pseudofeed.market import Market
from pseudofeed.market.clock import Clock
from pseudofeed.random import _random
from pseudofeed.store.registry import check_storable
from pseudofeed.times import parse_time

PLAIN = """
[market]
name = "demo"
seed = 7
[clock]
start = 2026-03-02T14:30:00Z
step = "60s"
[factors]
names = ["f", "g"]
volatilities = [1, 0.5]
[instruments]
count = 20
[instruments.defaults]
rho = -0.5
theta = { distribution = "uniform", low = 0, high = 1 }
[[instruments.list]]
symbol = "BRK.B"
factor_loadings = 1
"""

SAMPLE = 16555135451825203347
DEMO = 8669661553838012465

# The same market: other order, 1.0 for 1, defaults written out, another offset and unit of time.
VERBOSE = """
[instruments]
count = 20
[instruments.defaults]
theta = { high = 1.0, low = -0.0, distribution = "uniform" }
xi = { distribution = "uniform", low = 0.2, high = 0.5 }
rho = -0.5
[factors]
drifts = [0, -0.0]
correlations = [[1, 0], [0, 1]]
volatilities = [1.0, 0.5]
names = ["f", "g"]
[[instruments.list]]
theta = { low = 0.0, high = 1, distribution = "uniform" }
factor_loadings = [1.0, 1]
rho = -0.5
symbol = "BRK.B"
[clock]
calendar = "24/7"
step = "1min"
start = "2026-03-02T09:30:00.000-05:00"
[market]
seed = 7
name = "demo"
"""


def test_the_same_market_however_it_is_written() -> None:
    plain, verbose = Market.loads(PLAIN), Market.loads(VERBOSE)
    assert plain == verbose
    assert hash(plain) == hash(verbose)
    assert plain.specification == verbose.specification
    assert verbose.difference(plain.specification) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed = 7", "seed = 8", "market.seed: 7 -> 8"),
        ("[1, 0.5]", "[1, 0.25]", "factors.volatilities[1]: 0.5 -> 0.25"),
        ("[factors]", "[simulation]\nscheme = 'qe'\n[factors]", 'simulation.scheme: "euler" -> "qe"'),
        ("[factors]", "[simulation]\nsubsteps = 2\n[factors]", "simulation.substeps: 1 -> 2"),
        ('"60s"', '"61s"', 'clock.step: "1min" -> "61s"'),
        ("high = 1 }", "high = 2 }", "instruments.defaults.theta.high: 1.0 -> 2.0"),
        ("count = 20", "count = 21", "instruments.count: 20 -> 21"),
        ('"BRK.B"', '"BRK.A"', 'instruments.list[0].symbol: "BRK.B" -> "BRK.A"'),
        ("rho = -0.5", "rho = { distribution = 'uniform', low = 0, high = 1 }", "instruments.defaults.rho: -0.5 -> {"),
    ],
)
def test_another_market_has_another_fingerprint_and_says_what_differs(old: str, new: str, line: str) -> None:
    before, after = Market.loads(PLAIN), Market.loads(PLAIN.replace(old, new))
    assert before != after
    lines = after.difference(before.specification)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_the_fingerprints_of_old_markets_stay() -> None:
    """Registered markets carry it: whoever changes it here makes every existing topic unreadable."""
    assert Market.sample().fingerprint == SAMPLE
    assert Market.loads(PLAIN).fingerprint == DEMO


def test_a_specification_goes_through_json_and_pickle() -> None:
    market = Market.sample(instruments=7, factors=10, seed=2**64 - 1, start="now")
    again = Market.from_specification(json.loads(json.dumps(market.specification)))
    assert again == market
    assert pickle.loads(pickle.dumps(market)) == market
    assert np.array_equal(again.instruments.factor_loadings, market.instruments.factor_loadings)


def test_a_draw_is_made_of_the_seed_the_instrument_and_the_parameter() -> None:
    market = Market.loads(PLAIN)
    ids = np.arange(21, dtype=np.uint32)
    assert np.array_equal(market.instruments.theta, _random.uniforms(7, ids, 4, 2)[0])
    normals = _random.standard_normals(7, ids, 17, 2)[0]
    loading = np.clip(0.35 * normals, -1.5, 1.5)
    loading[0] = 1.0
    assert np.array_equal(market.instruments.factor_loadings[:, 1], loading)
    other = Market.loads(PLAIN.replace("factor_loadings = 1", "theta = 0.5\nkappa = 1"))
    assert other.instruments.theta[0] == 0.5
    assert np.array_equal(other.instruments.theta[1:], market.instruments.theta[1:])


def test_mixed_distributions_in_one_parameter() -> None:
    rows = [
        {"symbol": "N", "xi": {"distribution": "normal", "mean": 9.0, "deviation": 1.0}},
        {"symbol": "L", "xi": {"distribution": "lognormal", "median": 9.0, "deviation": 1.0}},
        {"symbol": "U", "xi": {"distribution": "uniform", "low": 9.0, "high": 10.0}},
        {"symbol": "C", "xi": 9.0},
    ]
    tables: dict[str, Any] = Market.loads(PLAIN).specification
    tables["instruments"] |= {"count": 1, "list": rows}
    xi = Market.from_specification(tables).instruments.xi
    ids = np.arange(5, dtype=np.uint32)
    normals, uniforms = _random.standard_normals(7, ids, 5, 2)[0], _random.uniforms(7, ids, 5, 2)[0]
    lognormal = 9.0 * _random.exp(normals[1:2])[0]
    assert xi.tolist() == [9 + normals[0], lognormal, 9 + uniforms[2], 9.0, 0.2 + (0.5 - 0.2) * uniforms[4]]


def test_the_sample_moves_as_shares_do() -> None:
    market = Market.sample(instruments=5_000, factors=3)
    instruments, factors = market.instruments, market.factors
    sigma = factors.volatilities[:, None] * factors.correlations * factors.volatilities
    common = np.einsum("nk,kl,nl->n", instruments.factor_loadings, sigma, instruments.factor_loadings)
    daily = np.sqrt((common + instruments.theta + instruments.idiosyncratic_volatility**2) / 252)
    assert daily.min() > 0.01
    assert daily.max() < 0.04
    assert 0.018 < daily.mean() < 0.026
    assert (2 * instruments.kappa * instruments.theta >= instruments.xi**2).mean() > 0.9
    assert np.median(instruments.initial_price) == pytest.approx(60, rel=0.05)
    assert np.all(np.linalg.eigvalsh(Market.sample(factors=64).factors.correlations) > 0.5)


def test_parameters_are_read_only_and_contiguous() -> None:
    market = Market.sample(instruments=5)
    for array in market.instruments.arrays.values():
        assert array.flags.c_contiguous
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError, match="immutable"):
        market.name = "x"  # type: ignore[misc]
    market.specification["market"]["seed"] = 0
    assert market.specification["market"]["seed"] == 7


def test_now_is_settled_once() -> None:
    market = Market.sample(start="now")
    assert market.start_is_now
    with pytest.raises(MarketFileError, match=r'clock\.start is "now".*with_start'):
        _ = market.clock
    start = parse_time("2026-03-02T14:30:00.123456789Z")
    settled = market.with_start(start)
    assert not settled.start_is_now
    assert settled.clock == Clock(start - 789, 1_000_000_000)  # whole microseconds, so that it can be stored
    check_storable(settled)
    assert settled == Market.sample(start="2026-03-02T14:30:00.123456Z")
    assert Market.sample(start="now", step="100ns").with_start(start).clock.start_ns == start


def test_symbols_have_numbers_and_unknown_ones_have_neighbours() -> None:
    market = Market.loads(PLAIN.replace('"BRK.B"', '"BRVO"').replace("count = 20", "count = 30"))
    assert market.symbols[:3] == ("BRVO", "ALFA", "CHRL")
    assert market.symbols[25:28] == ("ZULU", "ALFA2", "BRVO2")
    assert [market.number_of(symbol) for symbol in market.symbols] == list(range(31))
    with pytest.raises(UnknownSymbol, match=r'market demo has no instrument "alfa"; did you mean ALFA'):
        market.number_of("alfa")
    with pytest.raises(UnknownSymbol, match=r'"\$"; it has BRVO, ALFA, CHRL, DLTA, ECHO, \.\.\.'):
        market.number_of("$")


def test_what_postgresql_cannot_hold_is_said() -> None:
    check_storable(Market.sample(step="1us"))
    with pytest.raises(StoreError, match=r"clock\.step 1500ns is not a whole number of microseconds"):
        check_storable(Market.sample(step="1500ns"))
    with pytest.raises(StoreError, match=r"clock\.start"):
        check_storable(Market.sample(start="2026-03-02T14:30:00.0000001Z"))


def test_a_sample_that_cannot_be_is_refused() -> None:
    for arguments in (
        {"instruments": 0},
        {"factors": 0},
        {"factors": 65},
        {"step": "1"},
        {"start": "soon"},
        {"name": "X"},
    ):
        with pytest.raises(MarketFileError, match=r"Market\.sample: "):
            Market.sample(**arguments)


def test_numpys_integers_are_integers() -> None:
    one: Any = np.int64(1)
    two: Any = np.uint8(2)
    sample = Market.sample(instruments=two, factors=two, seed=one)
    assert sample == Market.sample(instruments=2, factors=2, seed=1)
    assert json.loads(json.dumps(sample.specification)) == sample.specification
    assert (sample.simulate(two, path=one).prices == sample.simulate(2, path=1).prices).all()
    assert sample.with_path(two) == sample.with_path(2)
    assert sample.with_start(one) == sample.with_start(1)


@pytest.mark.parametrize("factors", ["3", 0, 65, True, 2.0, None])
def test_a_number_of_factors_that_is_none_is_named(factors: Any) -> None:
    with pytest.raises(
        MarketFileError, match=r"^Market\.sample: factors: found .*; must be a whole number from 1 to 64"
    ):
        Market.sample(factors=factors)
