"""Instrument-steps a second, prices and variances of every step stored: ours, NumPy's, Numba's and QuantLib's."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from simulate_work import SIZES, WHO, work


@pytest.mark.parametrize(("instruments", "steps"), SIZES)
@pytest.mark.parametrize("who", WHO)
def test_simulate(benchmark: BenchmarkFixture, who: str, instruments: int, steps: int) -> None:
    call, instrument_steps = work(who, instruments, steps)
    benchmark.group = f"simulate {instruments} instruments x {steps} steps"
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)
    assert benchmark.stats is not None
    benchmark.extra_info["million_instrument_steps_per_second"] = instrument_steps / benchmark.stats.stats.min / 1e6
