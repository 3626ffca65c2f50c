"""The normals' law on 10^8 draws, with memory for one chunk: Kolmogorov and Smirnov's distance, moments, correlations.

Seeds are fixed, so these hold always or never; the bounds are those that a true sample breaks once in thousands.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import kolmogi, ndtr

from pseudofeed.random import _random

IDS = np.arange(1 << 18, dtype=np.uint32)
BINS_A_UNIT = 1 << 14
REACH = 9  # Box-Muller's radius ends at sqrt(-2 log 2^-53) = 8.57


def test_a_hundred_million_normals_are_normal() -> None:
    counts = np.zeros(2 * REACH * BINS_A_UNIT, dtype=np.int64)
    sums, draws = np.zeros(7), 0
    for step in range(1, 193):
        for z in _random.standard_normals(2026, IDS, step, 0):
            counts += np.bincount(((z + REACH) * BINS_A_UNIT).astype(np.int32), minlength=len(counts))
            power = z.copy()
            for k in range(1, 7):
                sums[k] += power.sum()
                power *= z
            draws += len(z)
    assert draws > 10**8
    # The distance at 294,912 points; between two of them neither function rises by more than 2.5e-5.
    edges = np.arange(1, len(counts) + 1) / BINS_A_UNIT - REACH
    distance = np.abs(np.cumsum(counts) / draws - ndtr(edges)).max()
    assert distance < kolmogi(0.001) / math.sqrt(draws)
    means, squares = (0, 0, 1, 0, 3, 0, 15), (1, 1, 3, 15, 105, 945, 10395)
    for k in range(1, 7):
        error = math.sqrt((squares[k] - means[k] ** 2) / draws)
        assert abs(sums[k] / draws - means[k]) < 3.5 * error, f"moment {k}"


@pytest.mark.parametrize("power", [1, 2])
def test_no_correlation_across_instruments_steps_purposes_and_seeds(power: int) -> None:
    """Of the normals and of their squares, over 4 million pairs each."""

    def draw(step: int, *, purpose: int = 0, seed: int = 2026) -> tuple[np.ndarray, np.ndarray]:
        z0, z1 = _random.standard_normals(seed, IDS, step, purpose)
        return (z0, z1) if power == 1 else ((z0 * z0 - 1) / math.sqrt(2), (z1 * z1 - 1) / math.sqrt(2))

    sums: dict[str, float] = {}
    steps = range(1, 17)
    for step in steps:
        z0, z1 = draw(step)
        others = {
            "the other normal of the draw": z1,
            "the next instrument": np.roll(z0, 1),
            "the instrument 64 on": np.roll(z0, 64),
            "the next step": draw(step + 1)[0],
            "the next step's other normal": draw(step + 1)[1],
            "the step 2^32 on": draw(step + 2**32)[0],
            "a factor": draw(step, purpose=1)[0],
            "a parameter": draw(step, purpose=2)[1],
            "the next seed": draw(step, seed=2027)[0],
            "the seed 2^32 on": draw(step, seed=2026 + 2**32)[0],
        }
        for name, other in others.items():
            sums[name] = sums.get(name, 0.0) + float(z0 @ other)
    pairs = len(steps) * len(IDS)
    for name, total in sums.items():
        assert abs(total / pairs) < 3.5 / math.sqrt(pairs), name
