#!/usr/bin/env python3
"""The peers of the simulation core, on the same work: instrument-steps a second, one thread.

usage: simulate.py [numpy|numba|quantlib ...]      (default: whatever is installed)

Work: N instruments, 3 correlated factors, Heston with full truncation on log prices, prices and variances of every step stored.
"""

import sys
import time

import numpy as np

K, KAPPA, THETA, XI, RHO, MU, OWN = 3, 2.0, 0.04, 0.5, -0.7, 0.05, 0.1
DT = 1 / (252 * 23_400)
SIZES = ((100, 20_000), (1_000, 4_000), (10_000, 400))


def setting(n, seed=1):
    rng = np.random.default_rng(seed)
    correlation = np.full((K, K), 0.3) + 0.7 * np.eye(K)
    volatility = np.array([0.16, 0.08, 0.06])
    cholesky = np.linalg.cholesky(correlation * np.outer(volatility, volatility))
    return cholesky, rng.normal(1.0, 0.5, size=(n, K))


def numpy_paths(n, steps, seed=1):
    """Vectorised over instruments, a loop over steps: the best that plain NumPy does with a recursion in time."""
    cholesky, beta = setting(n)
    rng = np.random.default_rng(seed)
    price, variance = np.full(n, 100.0), np.full(n, 0.04)
    prices, variances = np.empty((steps, n)), np.empty((steps, n))
    root, tail, own = np.sqrt(DT), 1 - RHO * RHO, OWN * OWN
    ito = own + np.einsum("ik,kl,il->i", beta, cholesky @ cholesky.T, beta)
    for t in range(steps):
        factor = cholesky @ rng.standard_normal(K) * root
        z = rng.standard_normal((2, n))
        v = np.maximum(variance, 0.0)
        sv = np.sqrt(v)
        shock = RHO * sv * z[0] + np.sqrt(tail * v + own) * z[1]
        price = price * np.exp((MU - 0.5 * (v + ito)) * DT + beta @ factor + root * shock)
        variance = variance + KAPPA * (THETA - v) * DT + XI * root * sv * z[0]
        prices[t], variances[t] = price, v
    return prices, variances


def numba_paths():
    import numba

    @numba.njit
    def run(n, steps, cholesky, beta, ito, prices, variances, seed):
        np.random.seed(seed)
        price, variance = np.full(n, 100.0), np.full(n, 0.04)
        factor, g = np.empty(K), np.empty(K)
        root, tail, own = np.sqrt(DT), 1 - RHO * RHO, OWN * OWN
        for t in range(steps):
            for k in range(K):
                g[k] = np.random.standard_normal()
            for k in range(K):
                factor[k] = 0.0
                for j in range(k + 1):
                    factor[k] += cholesky[k, j] * g[j] * root
            for i in range(n):
                z0, z1 = np.random.standard_normal(), np.random.standard_normal()
                v = max(variance[i], 0.0)
                sv = np.sqrt(v)
                b = 0.0
                for k in range(K):
                    b += beta[i, k] * factor[k]
                shock = RHO * sv * z0 + np.sqrt(tail * v + own) * z1
                price[i] *= np.exp((MU - 0.5 * (v + ito[i])) * DT + b + root * shock)
                variance[i] += KAPPA * (THETA - v) * DT + XI * root * sv * z0
                prices[t, i], variances[t, i] = price[i], v

    def paths(n, steps):
        cholesky, beta = setting(n)
        ito = OWN * OWN + np.einsum("ik,kl,il->i", beta, cholesky @ cholesky.T, beta)
        run(n, steps, cholesky, beta, ito, np.empty((steps, n)), np.empty((steps, n)), 1)

    paths(8, 8)
    return paths


def quantlib_rate(paths=300, steps=1_000):
    import QuantLib as ql

    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    rate = ql.YieldTermStructureHandle(ql.FlatForward(today, MU, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(100.0))
    process = ql.HestonProcess(rate, rate, spot, 0.04, KAPPA, THETA, XI, RHO, ql.HestonProcess.FullTruncation)
    uniform = ql.UniformRandomSequenceGenerator(2 * steps, ql.UniformRandomGenerator(1))
    generator = ql.GaussianMultiPathGenerator(
        process, list(ql.TimeGrid(1.0, steps)), ql.GaussianRandomSequenceGenerator(uniform), False
    )
    start = time.perf_counter()
    for _ in range(paths):
        generator.next().value()
    return paths * steps / (time.perf_counter() - start)


def best(call, work, repeats=3):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return work / min(times) / 1e6


def main(names):
    for n, steps in SIZES:
        if "numpy" in names:
            print(
                f"numpy    {n:6d} instruments  {best(lambda: numpy_paths(n, steps), n * steps):7.2f} M instrument-steps/s",
                flush=True,
            )
    if "numba" in names:
        paths = numba_paths()
        for n, steps in SIZES:
            print(
                f"numba    {n:6d} instruments  {best(lambda: paths(n, steps), n * steps):7.2f} M instrument-steps/s",
                flush=True,
            )
    if "quantlib" in names:
        print(
            f"quantlib      1 instrument   {quantlib_rate() / 1e6:7.2f} M instrument-steps/s (no factors)", flush=True
        )


if __name__ == "__main__":
    wanted = sys.argv[1:]
    if not wanted:
        from importlib.util import find_spec

        wanted = [
            name
            for name, module in (("numpy", "numpy"), ("numba", "numba"), ("quantlib", "QuantLib"))
            if find_spec(module)
        ]
    main(wanted)
