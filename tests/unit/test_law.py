"""The law of variances and prices against closed forms, for both schemes, Feller's condition kept and violated.

Every seed is fixed, so each test holds always or never. The bounds are in standard errors of the very sample.
"""

from __future__ import annotations

import numpy as np
import pytest

from monte_carlo import deviation, sample
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths
from reference.heston_pricing import Heston

MODELS = {
    "kept": Heston(
        kappa=4.0, theta=0.06, xi=0.4, rho=-0.6, initial_variance=0.1, own_volatility=0.15, drift=0.08
    ),
    "violated": Heston(
        kappa=2.0, theta=0.04, xi=0.5, rho=-0.7, initial_variance=0.04, own_volatility=0.1, drift=0.05
    ),
    "violated by far": Heston(kappa=0.5, theta=0.04, xi=1.0, rho=-0.9, initial_variance=0.04, drift=-0.03),
}  # fmt: skip
# Steps a year and paths: qe's mean and variance of v are exact at any step, Euler's where steps are fine.
SCHEMES = {"qe": (24, 400_000), "euler": (2_400, 40_000)}
TIMES = (0.25, 1.0)

COVARIANCE = np.diag([0.16, 0.08, 0.06]) @ (np.full((3, 3), 0.3) + 0.7 * np.eye(3)) @ np.diag([0.16, 0.08, 0.06])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_variances_and_mean_prices(name: str, scheme: str) -> None:
    model, (steps_a_year, paths) = MODELS[name], SCHEMES[scheme]
    assert model.feller == (name == "kept")
    prices, variances = sample(model, TIMES, steps_a_year=steps_a_year, paths=paths, seed=1, scheme=scheme)
    for row, time in enumerate(TIMES):
        mean = model.variance_mean(time)
        assert abs(deviation(prices[row], model.forward(time))) < 3
        assert abs(deviation(variances[row], mean)) < 3
        assert abs(deviation((variances[row] - mean) ** 2, model.variance_variance(time))) < 3


def walk(
    steps: int, dt: float, instruments: int, *, seed: int, scheme: str = "euler", **changed: object
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factor increments, prices and variances of instruments with factors, own volatility and rho."""
    volatilities, correlations = np.array([0.16, 0.08, 0.06]), np.full((3, 3), 0.3) + 0.7 * np.eye(3)
    increments, _ = simulate_factor_returns(steps, volatilities, correlations, dt=dt, seed=seed)
    arguments: dict[str, object] = {
        "initial_variances": 0.04,
        "drift": 0.08,
        "kappa": 2.0,
        "theta": 0.04,
        "xi": 0.5,
        "rho": -0.7,
        "idiosyncratic_volatility": 0.1,
        "factor_loadings": np.tile([1.2, -0.5, 0.8], (instruments, 1)),
    }
    prices, variances = simulate_heston_paths(
        initial_prices=100.0,
        dt=dt,
        factor_increments=increments,
        factor_covariance=COVARIANCE,
        seed=seed,
        scheme=scheme,
        **{**arguments, **changed},  # type: ignore[arg-type]
    )
    return increments, prices, variances


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mean_prices_with_factors(scheme: str) -> None:
    """Given the factors, E[S_t | F] = S_0 exp(mu t + b'F_t - b'Sigma b t / 2); over many factor paths, S_0 e^{mu t}."""
    time, steps, loading = 0.5, 12 if scheme == "qe" else 400, np.array([1.2, -0.5, 0.8])
    increments, prices, _ = walk(steps, time / steps, 100_000, seed=3, scheme=scheme)
    itos = loading @ COVARIANCE @ loading * time / 2
    assert abs(deviation(prices[-1], 100 * np.exp(0.08 * time + loading @ increments.sum(axis=0) - itos))) < 3
    means = np.array([walk(2, time / 2, 64, seed=seed, scheme=scheme)[1][-1].mean() for seed in range(2_000)])
    assert abs(deviation(means, 100 * np.exp(0.08 * time))) < 3


def test_factor_increments_have_their_correlations() -> None:
    n, dt = 1_000_000, 1 / (252 * 23_400)
    increments, _ = simulate_factor_returns(
        n, [0.16, 0.08, 0.06], [[1, 0.3, -0.9], [0.3, 1, 0.1], [-0.9, 0.1, 1]], dt=dt, seed=8
    )
    expected = np.array([[1, 0.3, -0.9], [0.3, 1, 0.1], [-0.9, 0.1, 1]])
    error = (1 - expected**2) / np.sqrt(n)  # of a sample correlation
    assert (np.abs(np.corrcoef(increments.T) - expected) <= 3.5 * error + 1e-12).all()
    assert np.allclose(increments.std(axis=0) / np.sqrt(dt), [0.16, 0.08, 0.06], rtol=3.5 / np.sqrt(2 * n))
    for lag in (1, 2):  # and none over time
        cross = (increments[lag:] / increments.std(axis=0)).T @ (increments[:-lag] / increments.std(axis=0)) / n
        assert np.abs(cross).max() < 4 / np.sqrt(n)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rho", [-1.0, -0.7, 0.0, 0.4])
def test_prices_are_correlated_with_their_variance(scheme: str, rho: float) -> None:
    """corr(d ln S, dv) = rho sqrt(v) / sqrt(v + s^2 + b'Sigma b), here with v held near 0.04 by a small xi."""
    n, dt, loading = 400_000, 1 / (252 * 23_400), np.array([1.2, -0.5, 0.8])
    _, prices, variances = walk(n, dt, 2, seed=21, scheme=scheme, rho=rho, xi=0.002)
    returns, changes = np.diff(np.log(prices), axis=0), np.diff(variances, axis=0)
    expected = rho * np.sqrt(0.04 / (0.04 + 0.01 + loading @ COVARIANCE @ loading))
    for i in range(2):
        found = np.corrcoef(returns[:, i], changes[:, i])[0, 1]
        assert abs(found - expected) < 3 * (1 - expected**2) / np.sqrt(n)
    assert abs(np.corrcoef(changes.T)[0, 1]) < 3.5 / np.sqrt(n)  # variances of two instruments: none


@pytest.mark.parametrize("scheme", SCHEMES)
def test_instruments_are_correlated_through_their_loadings(scheme: str) -> None:
    """With v constant: cov = b_i'Sigma b_j dt, var_i = (v + s_i^2 + b_i'Sigma b_i) dt, whatever the step."""
    n, dt = 300_000, 1 / 252
    loadings = np.array([[1.2, -0.5, 0.8], [0.9, 0.3, 0.0], [0.0, 0.0, 0.0], [-1.0, 1.0, 0.5]])
    own = np.array([0.1, 0.0, 0.2, 0.3])
    _, prices, _ = walk(
        n, dt, 4, seed=5, scheme=scheme, xi=0.0, drift=0.0, idiosyncratic_volatility=own, factor_loadings=loadings
    )
    returns = np.diff(np.log(prices), axis=0)
    covariance = (loadings @ COVARIANCE @ loadings.T + np.diag(0.04 + own**2)) * dt
    scale = np.sqrt(np.diag(covariance))
    expected = covariance / np.outer(scale, scale)
    assert np.abs(expected[np.triu_indices(4, 1)]).max() > 0.3
    error = (1 - expected**2) / np.sqrt(n)
    assert (np.abs(np.corrcoef(returns.T) - expected) <= 3.5 * error + 1e-12).all()
    assert np.allclose(returns.std(axis=0), scale, rtol=3.5 / np.sqrt(2 * n))
