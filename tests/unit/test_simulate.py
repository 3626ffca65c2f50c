"""The array functions: the NumPy oracle to the bit, laws that Euler keeps exactly, and what they say of bad
arguments."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import SimulationError
from pseudofeed.simulate import _simulate
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths
from pseudofeed.simulate.stream import _block_steps
from reference import simulation
from unit.test_correlations import heston

CORRELATIONS = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 1.0]])
VOLATILITIES = np.array([0.16, 0.08, 0.06])
DRIFTS = np.array([0.05, 0.0, -0.01])
SIMPLE: dict[str, Any] = {
    "initial_prices": 100.0,
    "initial_variances": 0.09,
    "drift": 0.03,
    "kappa": 2.0,
    "theta": 0.04,
    "xi": 0.5,
    "rho": -0.7,
    "idiosyncratic_volatility": 0.0,
    "seed": 5,
}


def parameters(n: int, seed: int) -> dict[str, Any]:
    """Of all kinds, with every sixth value of each variance parameter 0."""
    rng = np.random.default_rng(seed)

    def or_zero(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < 1 / 6, 0.0, values)

    return {
        "initial_prices": rng.uniform(5, 500, n),
        "initial_variances": or_zero(rng.uniform(0, 0.2, n)),
        "drift": rng.normal(0.05, 0.02, n),
        "kappa": or_zero(rng.uniform(0, 8, n)),
        "theta": or_zero(rng.uniform(0, 0.2, n)),
        "xi": or_zero(rng.uniform(0, 2, n)),
        "rho": np.clip(rng.uniform(-1.2, 1.2, n), -1, 1),
        "idiosyncratic_volatility": or_zero(rng.uniform(0, 0.4, n)),
        "factor_loadings": rng.normal(1, 0.5, (n, 3)),
    }


@settings(max_examples=60)
@given(
    n=st.integers(1, 140),
    steps=st.integers(1, 12),
    seed=st.integers(0, 2**64 - 1),
    dt=st.sampled_from([1e-9, 3e-8, 1 / 252, 0.5, 6.0]),
    scheme=st.sampled_from(["euler", "qe"]),
    substeps=st.sampled_from([1, 1, 2, 5]),
)
def test_paths_equal_the_oracle_to_the_bit(
    n: int, steps: int, seed: int, dt: float, scheme: str, substeps: int
) -> None:
    increments, levels = simulate_factor_returns(steps, VOLATILITIES, CORRELATIONS, dt=dt, seed=seed, drifts=DRIFTS)
    oracle = simulation.factor_paths(
        steps, volatilities=VOLATILITIES, correlations=CORRELATIONS, drifts=DRIFTS, dt=dt, seed=seed
    )
    assert increments.tobytes() == oracle[0].tobytes()
    assert levels.tobytes() == oracle[1].tobytes()
    common = {
        **parameters(n, seed % 1000),
        "factor_increments": increments,
        "factor_drifts": DRIFTS,
        "factor_covariance": VOLATILITIES[:, None] * CORRELATIONS * VOLATILITIES[None, :],
        "dt": dt,
        "seed": seed,
        "scheme": scheme,
        "substeps": substeps,
    }
    expected_prices, expected_variances = simulation.heston_paths(**common)
    if not ((expected_prices >= 1e-100) & (expected_prices <= 1e100)).all():  # now and then with steps of six years
        with pytest.raises(SimulationError, match="left its range at step"):
            simulate_heston_paths(**common)
        return
    prices, variances = simulate_heston_paths(**common)
    assert prices.tobytes() == expected_prices.tobytes()
    assert variances.tobytes() == expected_variances.tobytes()


@settings(max_examples=40)
@given(data=st.data())
def test_steps_of_all_lengths_with_nights_equal_the_oracle_to_the_bit(data: st.DataObject) -> None:
    """However the run is cut into calls, and however many lengths there are."""
    steps, n, seed = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 80)), data.draw(st.integers(0, 2**64 - 1))
    scheme, substeps = data.draw(st.sampled_from(["euler", "qe"])), data.draw(st.sampled_from([1, 1, 3]))
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(1e-6, 0.02, data.draw(st.sampled_from([1, 2, 4, 9, 30])))
    dt = rng.choice(lengths, steps)
    nights, night_dt = rng.random(steps) < data.draw(st.sampled_from([0.0, 0.2, 1.0])), 0.003
    increments, levels, shocks, night_shocks = simulation.factor_paths(
        steps,
        volatilities=VOLATILITIES,
        correlations=CORRELATIONS,
        drifts=DRIFTS,
        dt=dt,
        seed=seed,
        nights=nights,
        night_dt=night_dt,
    )
    covariance = VOLATILITIES[:, None] * CORRELATIONS * VOLATILITIES[None, :]
    given_parameters = {**parameters(n, seed % 1000), "factor_covariance": covariance, "scheme": scheme}
    oracle = simulation.instrument_paths(
        **given_parameters,
        substeps=substeps,
        seed=seed,
        dt=dt,
        shocks=shocks,
        nights=nights,
        night_dt=night_dt,
        night_shocks=night_shocks,
    )
    prices, variances = given_parameters.pop("initial_prices"), given_parameters.pop("initial_variances")
    model = _simulate.Heston(ids=np.arange(n, dtype=np.uint32), key=seed, substeps=substeps, **given_parameters)
    state, level = np.stack([prices, variances]), np.zeros(3)
    begin = 0
    while begin < steps:
        end = data.draw(st.integers(begin + 1, steps))
        part, k = slice(begin, end), int(nights[:begin].sum())
        time: dict[str, Any] = {"nights": nights[part].view(np.uint8), "night_dt": night_dt}
        factors = [np.empty((end - begin, 3)) for _ in range(3)]
        found_nights = np.empty((int(nights[part].sum()), 3))
        root = simulation.cholesky(covariance)
        time["night_shocks"] = found_nights
        _simulate.walk_factors(
            root, DRIFTS, seed, begin + 1, dt[part], level, factors[0], factors[1], factors[2], **time
        )
        for found, expected in zip(factors, (increments, levels, shocks), strict=True):
            assert found.tobytes() == expected[part].tobytes()
        assert found_nights.tobytes() == night_shocks[k : k + len(found_nights)].tobytes()
        out = np.empty((end - begin, n)), np.empty((end - begin, n))
        model.walk(begin + 1, dt[part], shocks[part], state, *out, **time)
        assert out[0].tobytes() == oracle[0][begin + 1 : end + 1].tobytes()
        assert out[1].tobytes() == oracle[1][begin + 1 : end + 1].tobytes()
        assert state.tobytes() == np.stack([out[0][-1], out[1][-1]]).tobytes()
        begin = end


def test_golden_hash() -> None:
    """Whatever compiler, instruction set or machine: these bytes. Only a change of the model may change them."""
    increments, _ = simulate_factor_returns(200, VOLATILITIES, CORRELATIONS, dt=1 / (252 * 23_400), seed=7)
    rng = np.arange(100) / 100
    prices, variances = simulate_heston_paths(
        initial_prices=50 + 100 * rng,
        initial_variances=0.04,
        drift=0.05,
        kappa=2.0 + rng,
        theta=0.04,
        xi=0.3 + rng,
        rho=-0.7 + rng,
        idiosyncratic_volatility=0.1,
        factor_loadings=np.stack([1 + rng, rng, -rng], axis=1),
        factor_increments=increments,
        dt=1 / (252 * 23_400),
        seed=7,
    )
    digest = hashlib.sha256(prices.astype("<f8").tobytes() + variances.astype("<f8").tobytes()).hexdigest()
    assert digest == "4d23487f38d59fd65f9a281359bc77d3dabc3ae1c7b53ad450e312b601116f3c"


def test_prices_keep_their_mean_and_covariance() -> None:
    n, steps, dt, mu = 40_000, 25, 0.02, 0.08
    increments, _ = simulate_factor_returns(steps, [0.2, 0.1], [[1, 0.5], [0.5, 1]], dt=dt, seed=11, drifts=[0.3, 0.0])
    prices, variances = simulate_heston_paths(
        initial_prices=100.0,
        initial_variances=0.09,
        drift=mu,
        kappa=3.0,
        theta=0.04,
        xi=0.4,
        rho=-0.6,
        dt=dt,
        factor_increments=increments,
        factor_loadings=np.zeros((n, 2)),
        idiosyncratic_volatility=0.1,
        seed=11,
    )
    t = steps * dt
    ratio = prices[-1] / 100
    assert abs(ratio.mean() - np.exp(mu * t)) < 4 * ratio.std() / np.sqrt(n)
    # Euler's own mean of v: exact where truncation hardly ever bites.
    mean = 0.04 + (0.09 - 0.04) * (1 - 3.0 * dt) ** steps
    assert abs(variances[-1].mean() - mean) < 4 * variances[-1].std() / np.sqrt(n)
    returns, changes = np.log(prices[1] / prices[0]), variances[1] - variances[0]
    expected = -0.6 * 0.3 / np.sqrt(0.09 + 0.01)
    assert abs(np.corrcoef(returns, changes)[0, 1] - expected) < 4 / np.sqrt(n)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho": [0.0, 1.5]}, r"rho\[1\] is 1.5; allowed are finite numbers in \[-1, 1\]"),
        ({"initial_variances": -0.1}, r"initial_variances is -0.1; allowed are finite numbers in \[0, inf\]"),
        ({"kappa": [1.0, float("nan")]}, r"kappa\[1\] is nan"),
        ({"theta": [0.1, 0.1, 0.1]}, r": shape \(2,\), expected \(3,\)"),
        ({"dt": 0.0}, "dt is 0.0; allowed are positive numbers of years"),
        ({"seed": -1}, "seed is -1"),
        ({"scheme": "milstein"}, "scheme is 'milstein'; allowed are 'euler', 'qe'"),
        ({"substeps": 0}, r"substeps is 0; allowed are integers in \[1, 65536\]"),
        ({"threads": 0}, "threads is 0; allowed are integers"),
        ({"factor_increments": np.zeros((0, 1))}, "factor_increments: no steps"),
        ({"factor_increments": [[0.0], [np.inf]]}, r"factor_increments\[1, 0\] is inf"),
        ({"initial_prices": [100.0, 0.0]}, r"initial_prices\[1\] is 0"),
        ({"out": (np.empty((3, 2)), np.empty((4, 2)))}, r"out\[0\]: must be a writable .* of shape \(4, 2\)"),
        ({"out": (np.empty((4, 2)),)}, "out: 1 arrays, expected two"),
        ({"out": (np.empty((4, 2)),) * 2}, "out: the two arrays share memory"),
        ({"factor_covariance": [[-0.01]]}, "factor_covariance is not positive semi-definite"),
        ({"factor_loadings": [[1.0, 1.0]]}, r"factor_loadings: shape \(1, 2\), expected \(2, 1\)"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_heston_paths(**{**heston(1), **change})


def test_threads_change_no_bit() -> None:
    arguments = {**parameters(700, 1), "factor_increments": np.full((200, 3), 1e-3), "dt": 0.01, "seed": 3}
    for scheme in ("euler", "qe"):
        one = simulate_heston_paths(**arguments, scheme=scheme, threads=1)
        for threads in (2, 5, None):
            several = simulate_heston_paths(**arguments, scheme=scheme, threads=threads)
            assert several[0].tobytes() == one[0].tobytes()
            assert several[1].tobytes() == one[1].tobytes()


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_as_many_threads_walk_a_block_as_are_asked_for(threads: int) -> None:
    """However few cores there are; the blocks of a stream are large enough for them."""
    n, steps = 1_000, _block_steps(1_000, threads)
    given_parameters = {**parameters(n, 1), "factor_covariance": np.zeros((3, 3)), "scheme": "qe"}
    state = np.stack([given_parameters.pop("initial_prices"), given_parameters.pop("initial_variances")])
    model = _simulate.Heston(ids=np.arange(n, dtype=np.uint32), key=1, substeps=8, **given_parameters)
    assert model.walk(1, np.full(steps, 1e-6), np.zeros((steps, 3)), state, threads=threads) == threads


@pytest.mark.parametrize("dt", [1e-16, 1e-8, 1e-3, 0.5, 30.0])
@pytest.mark.parametrize(("kappa", "xi"), [(0.0, 0.0), (0.0, 0.5), (2.0, 0.0), (2.0, 1e-12), (1e-9, 0.5), (50.0, 3.0)])
def test_qe_keeps_its_two_moments_of_the_variance_at_every_step(kappa: float, xi: float, dt: float) -> None:
    """Exactly those of the square-root process, at the limits kappa = 0 and xi = 0 and for steps of any length."""
    n, v0, theta = 20_000, 0.09, 0.04
    _, variances = simulate_heston_paths(
        **{**SIMPLE, "kappa": kappa, "xi": xi, "theta": theta, "initial_variances": v0, "dt": dt},
        factor_increments=np.zeros((1, 0)),
        factor_loadings=np.zeros((n, 0)),
        scheme="qe",
    )
    v = variances[-1]
    q = -math.expm1(-kappa * dt)
    c = q / kappa if kappa * dt > 0 else dt
    variance = xi**2 * (v0 * math.exp(-kappa * dt) * c + theta * q * c / 2)
    assert v.min() >= 0.0
    assert abs(v.mean() - (theta + (v0 - theta) * math.exp(-kappa * dt))) <= 5 * math.sqrt(variance / n) + 1e-15
    fourth = max(3 * variance**2, ((v - v.mean()) ** 4).mean())
    assert abs(v.var() - variance) <= 5 * math.sqrt(fourth / n) + 1e-33


def test_qe_without_noise_in_the_variance_knows_no_rho() -> None:
    """xi = 0: the variance is deterministic, and rho has no effect in law: the log price is normal."""
    n = 40_000
    for rho in (-0.9, 0.0, 1.0):
        prices, variances = simulate_heston_paths(
            **{**SIMPLE, "xi": 0.0, "rho": rho, "dt": 0.25},
            factor_increments=np.zeros((4, 0)),
            factor_loadings=np.zeros((n, 0)),
            scheme="qe",
        )
        assert np.ptp(variances[-1]) == 0.0
        integral = 0.125 * (variances[:-1, 0] + variances[1:, 0]).sum()
        returns = np.log(prices[-1] / prices[0])
        assert abs(returns.var() - integral) < 5 * integral * math.sqrt(2 / n)
        assert abs((prices[-1] / prices[0]).mean() - math.exp(0.03)) < 5 * math.sqrt(integral / n) * 1.1


@pytest.mark.parametrize("late", [False, True])
def test_a_path_that_leaves_its_range_is_named_and_touches_nothing(late: bool) -> None:
    increments = np.zeros((50, 1))
    increments[30] = 300.0
    given_parameters: dict[str, Any] = {
        **SIMPLE,
        "initial_variances": [0.04, 0.04 if late else 1e6],
        "dt": 1e-6 if late else 1.0,
        "factor_increments": increments,
        "factor_loadings": [[0.0], [1.0]],
    }
    out = np.full((51, 2), 3.0), np.full((51, 2), 4.0)
    message = r"instrument 1 left its range at step 31: price 1\.9\d+e\+132" if late else "instrument 1 .* at step 1:"
    with pytest.raises(SimulationError, match=message):
        simulate_heston_paths(**given_parameters, out=out)
    assert (out[0] == 3.0).all()
    assert (out[1] == 4.0).all()
    with pytest.raises(
        ValueError, match=r"initial_prices is 1e-101; allowed are finite numbers in \[1e-100, 1e\+100\]"
    ):
        simulate_heston_paths(**{**given_parameters, "initial_prices": 1e-101}, out=out)
    assert (out[0] == 3.0).all()


@pytest.mark.parametrize("scheme", ["euler", "qe"])
@pytest.mark.parametrize(("steps", "dt"), [(3000, 1 / (252 * 23_400)), (20_000, 1 / (252 * 23_400)), (300, 1 / 252)])
def test_given_arrays_are_filled_as_new_ones(scheme: str, steps: int, dt: float) -> None:
    """Where nothing can fail, where something may for the first steps, and where it may all along."""
    common = {
        **parameters(30, 1),
        "factor_increments": np.full((steps, 3), 1e-6),
        "dt": dt,
        "seed": 3,
        "scheme": scheme,
    }
    out = np.empty((steps + 1, 30)), np.empty((steps + 1, 30))
    found = simulate_heston_paths(**common, out=out)
    assert found[0] is out[0]
    for one, new in zip(out, simulate_heston_paths(**common), strict=True):
        assert one.tobytes() == new.tobytes()
