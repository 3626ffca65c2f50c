"""Ctrl-C ends a walk at once, however long a step is, and however many threads walk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys, threading, time
import numpy as np
import pseudofeed
market = pseudofeed.Market.loads('''
market = {{ name = "x", seed = 1 }}
clock = {{ start = 2026-03-02T14:30:00Z, step = "1s" }}
simulation = {{ substeps = {substeps} }}
factors = {{ names = ["f"], volatilities = [0.1] }}
instruments = {{ count = 100 }}
''')
{before}
print("walking", flush=True)
try:
    {call}
except KeyboardInterrupt:
    {after}
    print("interrupted", flush=True)
"""
ARRAYS = """
out = np.full((253, 100), 3.0), np.full((253, 100), 3.0)
p = market.instruments
given = dict(initial_prices=p.initial_price, initial_variances=p.initial_variance, drift=p.drift, kappa=p.kappa,
    theta=p.theta, xi=p.xi, rho=p.rho, dt=1 / 252, factor_increments=np.zeros((252, 1)),
    factor_loadings=p.factor_loadings, idiosyncratic_volatility=p.idiosyncratic_volatility, seed=1, substeps=30_000)
"""


@pytest.mark.parametrize(
    ("substeps", "call", "before", "after"),
    [
        (30_000, "market.simulate(252, threads=1)", "", ""),
        (30_000, "market.simulate(252, threads=3)", "", ""),
        (65_536, "next(market.stream(start_step=10**6))", "", ""),
        (1, "next(market.stream(start_step=10**9))", "", ""),
        (
            1,
            "pseudofeed.simulate_factor_returns(100_000_000, [0.1], [[1.0]], dt=1.0, seed=1, out=out)",
            "out = np.empty((100_000_000, 1)), np.empty((100_000_000, 1))",
            "",
        ),
        (
            1,
            "pseudofeed.simulate_heston_paths(**given, out=out)",
            ARRAYS,
            "assert (out[0] == 3.0).all() and (out[1] == 3.0).all()",
        ),
    ],
)
def test_ctrl_c_ends_a_walk(substeps: int, call: str, before: str, after: str) -> None:
    program = PROGRAM.format(substeps=substeps, call=call, before=before, after=after)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "walking\n"
        time.sleep(0.3)
        begin = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        # 0.05 to 0.1 s on an idle machine; tests run beside each other.
        assert time.perf_counter() - begin < 1.0
        process.kill()
