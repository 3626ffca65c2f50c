"""Our oracle of option prices against other people's: QuantLib's AnalyticHestonEngine and PyFENG.

Measured when written: QuantLib's differ by at most 3e-10, PyFENG's by 6e-8 (prices around a spot of 100).
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pyfeng
import pytest
import QuantLib as ql

from reference.heston_pricing import Heston, call

MODELS = {
    # Andersen (2008), table 1: three markets that violate Feller's condition by far.
    "andersen 1": Heston(kappa=0.5, theta=0.04, xi=1.0, rho=-0.9, initial_variance=0.04),
    "andersen 2": Heston(kappa=0.3, theta=0.04, xi=0.9, rho=-0.5, initial_variance=0.04),
    "andersen 3": Heston(kappa=1.0, theta=0.09, xi=1.0, rho=-0.3, initial_variance=0.09, drift=0.03),
    "violating": Heston(kappa=2.0, theta=0.04, xi=0.5, rho=-0.7, initial_variance=0.04, drift=0.05),
    "satisfying": Heston(kappa=4.0, theta=0.06, xi=0.4, rho=0.4, initial_variance=0.1, drift=-0.02),
}
STRIKES = (70.0, 100.0, 140.0)
MATURITIES = (91, 365, 730)  # days of a year of 365


def quantlib_call(model: Heston, strike: float, days: int) -> float:
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, model.drift, ql.Actual365Fixed()))
    none = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(model.initial_price))
    process = ql.HestonProcess(
        flat, none, spot, model.initial_variance, model.kappa, model.theta, model.xi, model.rho
    )  # fmt: skip
    option = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Call, strike), ql.EuropeanExercise(today + days))
    option.setPricingEngine(ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-10, 100_000))
    return float(option.NPV()) * math.exp(model.drift * days / 365)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("strike", "days"), list(product(STRIKES, MATURITIES)))
def test_the_oracle_agrees_with_quantlib(name: str, strike: float, days: int) -> None:
    model = MODELS[name]
    assert call(model, strike, days / 365) == pytest.approx(quantlib_call(model, strike, days), abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("days", MATURITIES)
def test_the_oracle_agrees_with_pyfeng(name: str, days: int) -> None:
    model, maturity = MODELS[name], days / 365
    peer = pyfeng.HestonFft(
        model.initial_variance, vov=model.xi, rho=model.rho, mr=model.kappa, theta=model.theta, intr=model.drift
    )
    peer.n_x, peer.x_lim = 2**16, 1000  # its grid as it comes, 2**12 up to 200, is good for 3e-4 only
    prices = peer.price(np.array(STRIKES), model.initial_price, maturity, cp=1) * math.exp(model.drift * maturity)
    assert [call(model, strike, maturity) for strike in STRIKES] == pytest.approx(prices.tolist(), abs=1e-6)


def test_an_own_volatility_alone_is_black_and_scholes() -> None:
    """The oracle's extra term: with hardly any Heston variance, s^2 T is all the variance there is."""
    model = Heston(kappa=1.0, theta=0.0, xi=1e-4, rho=0.0, initial_variance=1e-12, own_volatility=0.25, drift=0.04)
    for strike, maturity in product(STRIKES, (0.25, 1.0, 2.0)):
        expected = ql.blackFormula(ql.Option.Call, strike, model.forward(maturity), 0.25 * math.sqrt(maturity))
        assert call(model, strike, maturity) == pytest.approx(expected, abs=1e-6)
