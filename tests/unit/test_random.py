"""The draws: published answers, the NumPy oracle to the bit, error bounds of the elementary functions, first
moments."""

from __future__ import annotations

import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.random import _random
from reference import elementary_coefficients, simulation

VECTORS = Path(__file__).parents[1] / "vectors" / "philox4x32.txt"
WORD = st.integers(0, 2**32 - 1)


def known_answers() -> list[list[int]]:
    lines = [line.split() for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
    return [[int(word, 16) for word in line[1:]] for line in lines if line[0] == "10"]


@pytest.mark.parametrize("words", known_answers())
def test_philox_gives_the_published_answers(words: list[int]) -> None:
    c0, c1, c2, c3, k0, k1, *expected = words
    assert list(_random.philox4x32((c0, c1, c2, c3), (k0, k1))) == expected


@given(
    seed=st.integers(0, 2**64 - 1),
    ids=st.lists(WORD, min_size=1, max_size=70),
    step=st.integers(0, 2**63 - 1),
    purpose=WORD,
)
def test_normals_equal_the_oracle_to_the_bit(seed: int, ids: list[int], step: int, purpose: int) -> None:
    numbers = np.array(ids, dtype=np.uint32)
    x = -np.exp(np.random.default_rng(step % 2**32).uniform(-50, 7, 50))
    assert _random.expm1(x).tobytes() == simulation.expm1(x).tobytes()
    for native, oracle in zip(
        _random.standard_normals(seed, numbers, step, purpose),
        simulation.standard_normals(seed, numbers, step, purpose),
        strict=True,
    ):
        assert native.tobytes() == oracle.tobytes()


def worst_ulps(computed: np.ndarray, x: np.ndarray, function: object) -> float:
    worst = 0.0
    with mpmath.workdps(40):
        for value, argument in zip(computed, x, strict=True):
            exact = function(mpmath.mpf(float(argument)))  # type: ignore[operator]
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - exact) / math.ulp(float(exact))))
    return worst


def test_elementary_functions_keep_their_error_bounds() -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(-1e-3, 1e-3, 2000), rng.uniform(-1, 1, 2000), rng.uniform(-700, 700, 2000)])
    assert worst_ulps(_random.exp(x), x, mpmath.exp) <= 1.05
    small = np.concatenate([x, -(10.0 ** rng.uniform(-300, 2.8, 4000))])
    assert worst_ulps(_random.expm1(small), small, mpmath.expm1) <= 2.0
    u = np.concatenate([1 - rng.random(2000) * 2.0**-20, 1 - rng.random(2000), 2.0 ** -rng.uniform(0, 53, 2000)])
    assert worst_ulps(_random.log(u), u, mpmath.log) <= 1.0
    turns = np.array(rng.integers(0, 2**53, 4000) * 2.0**-53, dtype=np.float64)
    sine, cosine = _random.turn(turns)
    assert worst_ulps(sine, turns, lambda v: mpmath.sin(2 * mpmath.pi * v)) <= 2.0
    assert worst_ulps(cosine, turns, lambda v: mpmath.cos(2 * mpmath.pi * v)) <= 2.0


def test_elementary_functions_at_their_corners() -> None:
    assert _random.exp(np.array([0.0]))[0] == 1.0
    assert _random.log(np.array([1.0]))[0] == 0.0
    assert math.isnan(_random.exp(np.array([math.nan]))[0])
    sine, cosine = _random.turn(np.array([0.0, 0.25, 0.5, 0.75]))
    assert sine.tolist() == [0, 1, 0, -1]
    assert cosine.tolist() == [1, 0, -1, 0]


def test_header_carries_the_printed_coefficients() -> None:
    header = (Path(__file__).parents[2] / "csrc" / "random" / "elementary.h").read_text()
    for coefficients in elementary_coefficients.tables().values():
        for coefficient in coefficients:
            assert coefficient.hex().lstrip("-").replace("0x1.0000000000000p", "0x1.0000000000000p") in header


def test_normals_have_their_moments_and_no_correlation() -> None:
    ids = np.arange(1_000_000, dtype=np.uint32)
    z0, z1 = _random.standard_normals(2026, ids, 1, 0)
    n = len(ids)
    for z in (z0, z1):
        # Standard errors of the sample moments of a normal: 1, 2, 15, 96 over n.
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            assert abs((z**power).mean() - mean) < 4 * math.sqrt(variance / n)
    others = [_random.standard_normals(2026, ids, 2, 0)[0], _random.standard_normals(2026, ids, 1, 1)[0], z1]
    for other in [*others, np.roll(z0, 1)]:
        assert abs((z0 * other).mean()) < 4 / math.sqrt(n)
