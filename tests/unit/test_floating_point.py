"""A library of the process may have changed the rounding mode, or have subnormal numbers flushed: same bits, and its
environment is left as it was. tests/native/test_floating_point.cpp shows the same of each native entry point."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.cache.reader import parse_quote
from pseudofeed.cache.subscriber import read_message
from pseudofeed.market import Market
from pseudofeed.random import _random
from pseudofeed.records import FACTOR
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths
from pseudofeed.simulate.rows import blocks_of

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc", reason="knows glibc's fenv_t on x86-64 only"
)

FE_UPWARD, FLUSH = 0x800, 0x8040  # of fesetround; FTZ and DAZ of MXCSR
THIRD = 1 / 3
MXCSR = 7  # its word in fenv_t


@contextmanager
def hostile() -> Iterator[None]:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    before, changed = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    library.fegetenv(before)
    library.fesetround(FE_UPWARD)
    library.fegetenv(changed)
    changed[MXCSR] |= FLUSH
    library.fesetenv(changed)
    try:
        assert np.array([1.0])[0] / np.array([3.0])[0] > THIRD  # it rounds up
        yield
        after = (ctypes.c_uint32 * 8)()
        library.fegetenv(after)
        assert after[MXCSR] & 0xE040 == changed[MXCSR] & 0xE040
        assert library.fegetround() == FE_UPWARD
    finally:
        library.fesetenv(before)


TEXT = """
market = { name = "hostile", seed = 3 }
clock = { start = 2026-03-02T14:30:00Z, step = "7s" }
instruments = { count = 90 }
[factors]
names = ["f", "g"]
volatilities = [0.16, 0.07]
correlations = [[1, 0.3], [0.3, 1]]
drifts = [0.05, 0.01]
"""


def everything() -> list[bytes]:
    market = Market.loads(TEXT)
    paths = market.simulate(300, threads=3)
    (block,) = market.stream(start_step=5, steps=4, block_steps=4)
    increments, levels = simulate_factor_returns(
        9, [0.16, 0.07], [[1, 0.3], [0.3, 1]], dt=0.03, seed=1, drifts=[0.1, 0.7]
    )
    given: dict[str, Any] = {
        "initial_prices": 100.1,
        "initial_variances": 0.03,
        "drift": 0.1,
        "kappa": 1.1,
        "theta": 0.03,
        "xi": 0.7,
        "rho": -0.3,
        "dt": 0.01,
        "factor_increments": increments,
        "factor_loadings": np.ones((5, 2)),
        "idiosyncratic_volatility": 0.1,
        "seed": 1,
    }
    prices, variances = simulate_heston_paths(**given, factor_drifts=[0.1, 0.7], scheme="qe")
    x = np.array([-700.3, -1e-310, 0.1, 3.3])
    parameters = market.instruments
    arrays = [paths.prices, paths.variances, paths.factor_increments, paths.factor_levels, block.prices]
    arrays += [increments, levels, prices, variances, parameters.initial_price, parameters.factor_loadings]
    arrays += [_random.exp(x), _random.expm1(x), _random.cholesky(np.array([[0.3, 0.1], [0.1, 0.7]]))]
    record = MarketRecord("hostile", dict(market.specification), 4, 1, market.fingerprint).to_json()
    specification = json.dumps(MarketRecord.from_json("hostile", record).specification).encode()
    quote = parse_quote("quote:x:A", ["1", "2", "3", "0.3", "0.1225", None, None, None])
    message = (
        '{"epoch":1,"quotes":[{"symbol":"A","sequence":2,"time":"2026-03-02T14:30:00Z","price":0.3,"variance":0.1225}]}'
    )
    (factors,) = blocks_of(FACTOR, market, np.arange(2), first_step=5, steps=40, block_steps=40)
    arrays += [factors.factor_increments, factors.factor_levels, market.clock.step_years(1, 3)]
    repaired = [[0.0256, 0.0033600000000000006], [0.00336, 0.0049]]
    arrays.append(simulate_heston_paths(**given, factor_covariance=repaired)[0])
    arrays += [np.array(quote), read_message("quotes:x", message, {"A": 0}).price]
    return [*(array.tobytes() for array in arrays), record, specification]


def test_the_callers_floating_point_environment_changes_no_bit_and_stays() -> None:
    expected = everything()
    with hostile():
        found = everything()
    assert found == expected
