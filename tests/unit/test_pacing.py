"""Intended times, and how late steps were."""

from __future__ import annotations

import numpy as np
import pytest

from pseudofeed.publish.pacing import PacingError, RatePacer, SpeedPacer
from pseudofeed.simulate.paths import TickBlock


def block(first_step: int, times: list[int]) -> TickBlock:
    none = np.zeros((len(times), 0))
    return TickBlock(first_step, np.array(times), none, none, none, none)


def test_steps_are_due_by_the_clock_not_after_each_other() -> None:
    assert RatePacer(10.0, 5, 0.25).due(block(7, [0, 0, 0])).tolist() == [10.5, 10.75, 11.0]
    assert SpeedPacer(10.0, 1_000_000_000, 4.0).due(block(1, [1_000_000_000, 3_000_000_000])).tolist() == [10.0, 10.5]


def test_the_error_of_the_pace_in_quantiles_that_are_at_most_5_percent_too_high() -> None:
    error = PacingError()
    assert error.summary() is None
    late = np.random.default_rng(1).lognormal(np.log(0.002), 1.0, size=10_000)
    for part in np.array_split(late, 7):
        error.record(part)
    found = error.summary()
    assert found is not None
    assert found.p50_ms == pytest.approx(1000 * np.quantile(late, 0.5), rel=0.06)
    assert found.p99_ms == pytest.approx(1000 * np.quantile(late, 0.99), rel=0.06)
    assert found.max_ms == 1000 * late.max()
    error.record(np.array([1e9, -1.0]))
    found = error.summary()
    assert found is not None
    assert found.max_ms == 1e12
