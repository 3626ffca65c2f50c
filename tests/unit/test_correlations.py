"""Correlation matrices as people have them: what rounding did is repaired, and whatever loads, simulates."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pseudofeed as pf
from pseudofeed.errors import MarketFileError
from pseudofeed.market import Market


def market(correlations: Any, volatilities: Any = None) -> Market:
    count = len(correlations)
    return Market._read(
        {
            "market": {"name": "m", "seed": 1},
            "clock": {"start": "2026-03-02T14:30:00Z"},
            "factors": {
                "names": [f"f{k}" for k in range(count)],
                "volatilities": [0.2] * count if volatilities is None else list(volatilities),
                "correlations": np.asarray(correlations).tolist(),
            },
            "instruments": {"count": 2},
        },
        file="m.toml",
        ask_library=False,
    )


def test_sample_correlations_are_taken_as_they_are() -> None:
    for seed in range(200):
        given = np.corrcoef(np.random.default_rng(seed).normal(size=(3, 250)))
        pf.simulate_factor_returns(2, [0.1, 0.2, 0.3], given, dt=0.01, seed=1)
        made = market(given)
        kept = made.factors.correlations
        assert np.array_equal(kept, kept.T)
        assert (np.diagonal(kept) == 1).all()
        assert np.abs(kept - given).max() < 1e-15
        assert np.array_equal(np.array(made.specification["factors"]["correlations"]), kept)
        made.simulate(1)


def test_covariances_made_of_correlations_are_taken_as_they_are() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        volatilities = rng.uniform(0.01, 0.5, 3)
        scale = np.diag(volatilities)
        covariance = scale @ np.corrcoef(rng.normal(size=(3, 250))) @ scale
        arguments = heston(3) | {"factor_covariance": covariance}
        pf.simulate_heston_paths(**arguments)
        inverse = np.diag(1 / volatilities)
        market(inverse @ covariance @ inverse).simulate(1)


def heston(factors: int) -> dict[str, Any]:
    return {
        "initial_prices": [100.0, 50.0],
        "initial_variances": 0.04,
        "drift": 0.0,
        "kappa": 1.0,
        "theta": 0.04,
        "xi": 0.3,
        "rho": -0.5,
        "dt": 0.01,
        "factor_increments": np.zeros((3, factors)),
        "factor_loadings": np.ones((2, factors)),
        "idiosyncratic_volatility": 0.1,
        "seed": 1,
    }


def test_whatever_loads_simulates() -> None:
    """Estimates of more factors than observations, typed with nine digits: on the border of what is possible."""
    loaded = refused = 0
    message = r"factors\.correlations: found a matrix that is not positive semi-definite: between factors"
    for seed in [747, *range(60)]:
        rng = np.random.default_rng(seed)
        factors = int(rng.integers(20, 65))
        given = np.corrcoef(rng.normal(size=(factors, factors - int(rng.integers(0, 4)))))
        given = np.round((given + given.T) / 2, 9)
        np.fill_diagonal(given, 1)
        volatilities = rng.uniform(0.01, 0.9, factors)
        try:
            made = market(given, volatilities)
        except MarketFileError:
            refused += 1
            with pytest.raises(ValueError, match="not positive semi-definite"):
                pf.simulate_factor_returns(1, volatilities, given, dt=0.01, seed=1)
            with pytest.raises(MarketFileError, match=message):
                market(given, volatilities)
            given = pf.nearest_correlation(given)
            made = market(given, volatilities)
        else:
            loaded += 1
        made.simulate(1)
        pf.simulate_factor_returns(1, volatilities, made.factors.correlations, dt=0.01, seed=1)
    assert loaded > 0
    assert refused > 0


@pytest.mark.parametrize("entry", [(0, 1), (1, 1)])
def test_what_is_more_than_rounding_is_a_mistake(entry: tuple[int, int]) -> None:
    given = np.eye(3)
    given[entry] += 1e-8
    with pytest.raises(MarketFileError, match=r"must be symmetric|must be a number from -1 to 1"):
        market(given)
    with pytest.raises(ValueError, match=r"must be symmetric|the diagonal must be 1|allowed are"):
        pf.simulate_factor_returns(1, [0.1] * 3, given, dt=0.01, seed=1)
    given[entry] -= 0.99e-8
    assert np.array_equal(market(given).factors.correlations.diagonal(), np.ones(3))


def test_labels_in_another_order_are_refused() -> None:
    correlations = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
    volatilities = pd.Series([0.1, 0.3], index=["a", "b"])
    fits = pf.simulate_factor_returns(2, volatilities, correlations, dt=0.01, seed=1)
    assert np.array_equal(fits[0], pf.simulate_factor_returns(2, [0.1, 0.3], [[1, 0.5], [0.5, 1]], dt=0.01, seed=1)[0])
    pf.simulate_factor_returns(2, pd.Series([0.1, 0.3]), correlations, dt=0.01, seed=1)
    with pytest.raises(ValueError, match=r"correlations \(its index\): labels of the factors are a, b, but those of v"):
        pf.simulate_factor_returns(2, volatilities[["b", "a"]], correlations, dt=0.01, seed=1)
    with pytest.raises(ValueError, match=r"correlations \(its columns\)"):
        pf.simulate_factor_returns(2, volatilities, correlations[["b", "a"]], dt=0.01, seed=1)
    names = ["x", "y"]
    arguments = heston(2) | {
        "drift": pd.Series([0.0, 0.1], index=names),
        "factor_loadings": pd.DataFrame(np.ones((2, 2)), index=names, columns=["a", "b"]),
        "factor_covariance": correlations * 0.01,
    }
    pf.simulate_heston_paths(**arguments)
    with pytest.raises(ValueError, match=r"factor_loadings \(its index\): labels of the instruments are x, y"):
        pf.simulate_heston_paths(**arguments | {"drift": pd.Series([0.1, 0.0], index=["y", "x"])})
    with pytest.raises(ValueError, match=r"factor_covariance \(its columns\)"):
        pf.simulate_heston_paths(**arguments | {"factor_covariance": (correlations * 0.01)[["b", "a"]]})


@pytest.mark.parametrize("nearest", [False, True])
def test_labels_are_compared_before_anything_drops_them(nearest: bool) -> None:
    correlations = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
    volatilities = pd.Series([0.3, 0.1], index=["b", "a"])
    with pytest.raises(ValueError, match=r"correlations \(its index\): labels of the factors are a, b, but those of v"):
        pf.simulate_factor_returns(2, volatilities, correlations, dt=0.01, seed=1, nearest=nearest)
    with pytest.raises(ValueError, match="drifts: labels of the factors are b, a"):
        pf.simulate_factor_returns(2, [0.1, 0.3], correlations, dt=0.01, seed=1, drifts=volatilities, nearest=nearest)


@pytest.mark.parametrize(
    "sorted_ones",
    [
        pd.Series([0.1, 0.3]).sort_values(ascending=False),
        pd.Series([0.1, 0.3]).iloc[::-1],
        pd.Series([0.1, 0.3], index=pd.Index([1, 0], dtype=object)),
        pd.Series([0.1, 0.3], index=[1.0, 0.0]),
        pd.Series([0.2, 0.1, 0.3])[[True, False, True]],
    ],
)
def test_a_default_index_is_compared_with_numbers_that_sorting_or_filtering_left(sorted_ones: pd.Series) -> None:
    frame = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]])
    with pytest.raises(
        ValueError, match=r"correlations \(its index\): labels of the factors are 0, 1, but those of vol"
    ):
        pf.simulate_factor_returns(2, sorted_ones, frame, dt=0.01, seed=1)
    with pytest.raises(ValueError, match="kappa: labels of the instruments are 0, 1, but those of drift are"):
        pf.simulate_heston_paths(**heston(2) | {"drift": sorted_ones, "kappa": pd.Series([1.0, 2.0])})
    pf.simulate_factor_returns(2, sorted_ones, frame.to_numpy(), dt=0.01, seed=1)
    pf.simulate_factor_returns(2, sorted_ones.sort_index().set_axis([0, 1]), frame, dt=0.01, seed=1)


def test_a_default_index_however_it_is_stored_is_no_label_beside_names() -> None:
    for index in (pd.RangeIndex(2), pd.Index([0, 1], dtype="int64"), pd.Index([0, 1], dtype=object)):
        named = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
        pf.simulate_factor_returns(2, pd.Series([0.1, 0.3], index=index), named, dt=0.01, seed=1)


def test_nothing_here_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        market([[1.0, 0.5], [0.5, 1.0]], [0.0, 100.0]).simulate(1)
