"""The golden paths: whatever machine, compiler, instruction set and number of threads, these bytes.

Only a change of the model may change tests/vectors/golden_paths.txt. tests/native/golden.cpp makes the same paths
without Python, so that they can be checked where Python is not built: with clang, or for another processor.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pseudofeed.simulate import _simulate
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths

VECTORS = Path(__file__).parents[1] / "vectors" / "golden_paths.txt"
LINES = [line.split() for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
SETS = ("baseline", "avx2", "avx512")


def golden_paths(scheme: str, substeps: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    volatilities, dt, seed = np.array([0.16, 0.08, 0.06]), 1 / 252, 7
    correlations = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 1.0]])
    increments, _ = simulate_factor_returns(1000, volatilities, correlations, dt=dt, seed=seed)
    r = np.arange(1000) / 1000
    return simulate_heston_paths(
        initial_prices=50 + 100 * r,
        initial_variances=0.01 + 0.09 * r,
        drift=0.05,
        kappa=4 * r,
        theta=0.04 + 0.04 * r,
        xi=1.3 * r,
        rho=2 * r - 1,
        idiosyncratic_volatility=0.2 * r,
        factor_loadings=np.stack([1 + r, r, -r], axis=1),
        factor_increments=increments,
        factor_covariance=volatilities[:, None] * correlations * volatilities[None, :],
        dt=dt,
        seed=seed,
        scheme=scheme,
        substeps=substeps,
        threads=threads,
    )


def sha256(prices: np.ndarray, variances: np.ndarray) -> str:
    return hashlib.sha256(prices.astype("<f8").tobytes() + variances.astype("<f8").tobytes()).hexdigest()


def checksum(prices: np.ndarray, variances: np.ndarray) -> str:
    words = np.concatenate([prices.ravel(), variances.ravel()]).view(np.uint64)
    places = 2 * np.arange(len(words), dtype=np.uint64) + np.uint64(1)
    return f"{int(((words ^ (words >> np.uint64(29))) * places).sum(dtype=np.uint64)):016x}"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("scheme", "substeps", "expected", "native"), LINES)
def test_golden_paths(scheme: str, substeps: str, expected: str, native: str, threads: int) -> None:
    paths = golden_paths(scheme, int(substeps), threads)
    assert sha256(*paths) == expected
    assert checksum(*paths) == native


@pytest.mark.parametrize("wanted", SETS[: SETS.index(_simulate.instruction_set())])
def test_lesser_instruction_sets_give_the_same_bytes(wanted: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_golden as golden\n"
        "from pseudofeed.simulate import _simulate\n"
        "print(_simulate.instruction_set(), [line[:3] for line in golden.LINES] == "
        "[[s, n, golden.sha256(*golden.golden_paths(s, int(n), 1))] for s, n, *_ in golden.LINES])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PSEUDOFEED_ISA": wanted},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert answer.stdout.split() == [wanted, "True"]
