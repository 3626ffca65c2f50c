"""Factor returns and their correlations: the law that they keep, and which matrices are taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pseudofeed.random import _random
from pseudofeed.simulate import _simulate
from pseudofeed.simulate.factor_model import nearest_correlation, simulate_factor_returns
from reference import simulation

CORRELATIONS = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 1.0]])
VOLATILITIES = np.array([0.16, 0.08, 0.06])
DRIFTS = np.array([0.05, 0.0, -0.01])


def test_factor_increments_have_their_covariance() -> None:
    n, dt = 200_000, 0.01
    increments, _ = simulate_factor_returns(n, VOLATILITIES, CORRELATIONS, dt=dt, seed=3, drifts=DRIFTS)
    assert np.allclose(increments.mean(0), DRIFTS * dt, atol=4 * VOLATILITIES * np.sqrt(dt / n))
    assert np.allclose(np.corrcoef(increments.T), CORRELATIONS, atol=4 / np.sqrt(n))
    assert np.allclose(increments.std(0), VOLATILITIES * np.sqrt(dt), rtol=4 / np.sqrt(2 * n))


@pytest.mark.parametrize("first_step", [1, 2**32 - 3, 2**63 - 30])
def test_factors_are_drawn_one_step_a_counter(first_step: int) -> None:
    """However many steps are drawn together, and where the step leaves its low word."""
    increments, levels = np.empty((25, 3)), np.empty((25, 3))
    _simulate.walk_factors(np.eye(3), np.zeros(3), 9, first_step, np.ones(25), np.zeros(3), increments, levels)
    for t in range(25):
        z, _ = simulation.standard_normals(9, np.arange(3, dtype=np.uint32), first_step + t, 1)
        assert increments[t].tobytes() == z.tobytes()


def test_rank_deficient_correlations_are_accepted() -> None:
    increments, _ = simulate_factor_returns(50, [0.2, 0.1, 0.3], np.ones((3, 3)), dt=0.01, seed=1)
    assert np.allclose(increments[:, 1] * 2, increments[:, 0])
    assert np.allclose(increments[:, 2], increments[:, 0] * 1.5)


def test_correlations_that_are_none_are_refused() -> None:
    matrix = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
    with pytest.raises(
        ValueError, match=r"correlations is not positive semi-definite: between factors 2 and 2 it leaves"
    ):
        simulate_factor_returns(1, [0.1, 0.1, 0.1], matrix, dt=0.1, seed=1)
    with pytest.raises(ValueError, match=r"volatilities\[1\] is 1e\+200: its square is no double"):
        simulate_factor_returns(1, [0.1, 1e200], np.eye(2), dt=0.1, seed=1)
    with pytest.raises(ValueError, match=r"out: 2 x 1000000000000 x 3 numbers do not fit in memory"):
        simulate_factor_returns(10**12, [0.1, 0.1, 0.1], np.eye(3), dt=0.1, seed=1)


def test_the_nearest_correlation_matrix_is_taken_when_asked_for() -> None:
    # The example of Higham 2002, section 4, with its published answer.
    nearest = nearest_correlation([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    assert np.allclose(nearest, [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]], atol=5e-5)
    assert np.array_equal(nearest, nearest.T)
    assert np.array_equal(np.diagonal(nearest), [1, 1, 1])
    assert np.array_equal(nearest_correlation(CORRELATIONS), CORRELATIONS)
    matrix = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
    increments, _ = simulate_factor_returns(20_000, [0.1, 0.1, 0.1], matrix, dt=0.1, seed=1, nearest=True)
    assert np.allclose(np.corrcoef(increments.T), [[1, 0.5, -0.5], [0.5, 1, 0.5], [-0.5, 0.5, 1]], atol=0.03)


@settings(max_examples=60)
@given(
    count=st.integers(2, 30),
    rank=st.integers(1, 30),
    digits=st.sampled_from([9, 12, 17]),
    seed=st.integers(0, 2**32),
)
def test_singular_correlations_are_taken_as_they_are(count: int, rank: int, digits: int, seed: int) -> None:
    """Sample correlations of few observations are singular up to rounding, or up to the digits that were typed."""
    correlations = np.atleast_2d(np.corrcoef(np.random.default_rng(seed).normal(size=(count, rank + 1))))
    correlations = np.clip(np.round((correlations + correlations.T) / 2, digits), -1, 1)
    np.fill_diagonal(correlations, 1.0)
    assume(np.linalg.eigvalsh(correlations)[0] > -1e-9)
    root = _random.cholesky(correlations)
    assert np.allclose(root @ root.T, correlations, rtol=0, atol=2e-8)
