"""The golden paths and markets: whatever machine, compiler, instruction set and number of threads, these bytes.

Only a change of the model may change tests/vectors/golden_*.txt. tests/native/golden_paths.cpp and golden_markets.cpp
make the same without Python, so that it can be checked where Python is not built: with clang, or for another processor.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pseudofeed.errors import SettingsError
from pseudofeed.market import Market
from pseudofeed.simulate import _simulate
from pseudofeed.simulate.factor_model import simulate_factor_returns
from pseudofeed.simulate.heston_model import simulate_heston_paths

VECTORS = Path(__file__).parents[1] / "vectors"
SETS = ("baseline", "avx2", "avx512")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def table(name: str) -> list[list[str]]:
    lines = (VECTORS / name).read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


PATHS, MARKETS = table("golden_paths.txt"), table("golden_markets.txt")


def golden_paths(scheme: str, substeps: int, threads: int) -> tuple[np.ndarray, ...]:
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


def golden_market(scheme: str, substeps: str, night: str, path: str, threads: int) -> tuple[np.ndarray, ...]:
    market = Market.loads(f"""
        market = {{ name = "golden", seed = 20261127 }}
        clock = {{ start = 2026-03-02T14:30:00Z, step = "30min", calendar = "XNYS", overnight_variance = {night} }}
        simulation = {{ scheme = "{scheme}", substeps = {substeps} }}
        instruments = {{ count = 130 }}
        [factors]
        names = ["f", "g", "h"]
        volatilities = [0.16, 0.08, 0.06]
        correlations = [[1, 0.3, -0.2], [0.3, 1, 0.1], [-0.2, 0.1, 1]]
        drifts = [0.05, 0, -0.01]
    """)
    paths = market.with_path(int(path)).simulate(100, threads=threads)
    return paths.prices, paths.variances, paths.factor_increments, paths.factor_levels[1:]


def sha256(arrays: tuple[np.ndarray, ...]) -> str:
    return hashlib.sha256(b"".join(array.astype("<f8").tobytes() for array in arrays)).hexdigest()


def checksum(arrays: tuple[np.ndarray, ...]) -> str:
    words = np.concatenate([array.ravel() for array in arrays]).view(np.uint64)
    places = 2 * np.arange(len(words), dtype=np.uint64) + np.uint64(1)
    return f"{int(((words ^ (words >> np.uint64(29))) * places).sum(dtype=np.uint64)):016x}"


def found() -> list[list[str]]:
    """Both tables, as this process makes them."""
    paths = [[*line[:2], sha256(golden_paths(line[0], int(line[1]), 1))] for line in PATHS]
    return paths + [[*line[:4], sha256(golden_market(line[0], line[1], line[2], line[3], 1))] for line in MARKETS]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("scheme", "substeps", "expected", "native"), PATHS)
def test_golden_paths(scheme: str, substeps: str, expected: str, native: str, threads: int) -> None:
    paths = golden_paths(scheme, int(substeps), threads)
    assert sha256(paths) == expected
    assert checksum(paths) == native


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("scheme", "substeps", "night", "path", "expected", "native"), MARKETS)
def test_golden_markets(
    scheme: str, substeps: str, night: str, path: str, expected: str, native: str, threads: int
) -> None:
    arrays = golden_market(scheme, substeps, night, path, threads)
    assert sha256(arrays) == expected
    assert checksum(arrays) == native


def python(program: str, isa: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PSEUDOFEED_ISA": isa},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("wanted", SETS[: SETS.index(_simulate.instruction_set())])
def test_lesser_instruction_sets_give_the_same_bytes(wanted: str) -> None:
    answer = python(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_golden as golden\n"
        "from pseudofeed.simulate import _simulate\n"
        "expected = [line[:-1] for line in golden.PATHS + golden.MARKETS]\n"
        "print(_simulate.instruction_set(), golden.found() == expected)",
        wanted,
    )
    assert answer.stdout.split() == [wanted, "True"], answer.stderr


@pytest.mark.parametrize("call", ["market.simulate(1)", "next(market.stream())", "_simulate.instruction_set()"])
def test_an_instruction_set_that_is_none_is_an_error_at_the_first_use(call: str) -> None:
    answer = python(
        "import pseudofeed\n"
        "from pseudofeed.errors import SettingsError\n"
        "from pseudofeed.simulate import _simulate\n"
        "market = pseudofeed.Market.sample(instruments=2, factors=1)\n"
        f"try: {call}\n"
        "except SettingsError as error: print(error)",
        "avx",
    )
    allowed = "avx512, avx2, baseline" if _simulate.instruction_set() != "baseline" else "baseline"
    assert answer.stdout.strip() == (
        f'PSEUDOFEED_ISA is "avx"; allowed on this architecture are {allowed}, or leave it unset'
    ), answer.stderr
    assert issubclass(SettingsError, Exception)
