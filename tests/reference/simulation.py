"""The simulation's arithmetic once more in NumPy, operation by operation: must agree with the native core in every bit.

NumPy's + - * / and sqrt on float64 arrays are IEEE operations and it contracts nothing, so this is slow but exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]

SHIFT = 6755399441055744.0  # 1.5 * 2^52
LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fefa3800p-1"), float.fromhex("0x1.ef35793c76730p-45")
TWO_PI, TWO_PI_LOW = float.fromhex("0x1.921fb54442d18p+2"), float.fromhex("0x1.1a62633145c07p-52")


def philox4x32(counter: list[NDArray[np.uint64]], key: tuple[int, int]) -> list[NDArray[np.uint64]]:
    """Ten rounds over arrays of counter words, held in uint64."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & mask,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & mask,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def draw(seed: int, ids: Words, step: int, purpose: int) -> list[NDArray[np.uint64]]:
    def word(value: int) -> NDArray[np.uint64]:
        return np.full(len(ids), value, dtype=np.uint64)

    counter = [ids.astype(np.uint64), word(step & 0xFFFFFFFF), word(step >> 32), word(purpose)]
    return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))


def uniforms(seed: int, ids: Words, step: int, purpose: int) -> tuple[Floats, Floats]:
    w0, w1, w2, w3 = draw(seed, ids, step, purpose)

    def fraction(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> Floats:
        bits = (high >> np.uint64(5)) * np.uint64(2**26) + (low >> np.uint64(6))
        return bits.astype(np.float64) * 2.0**-53

    return fraction(w0, w1) + 2.0**-53, fraction(w2, w3)


def horner(x: Floats, coefficients: tuple[str, ...]) -> Floats:
    """The polynomial with these hexadecimal coefficients, highest power first."""
    total = np.full_like(x, float.fromhex(coefficients[0]))
    for coefficient in coefficients[1:]:
        total = total * x + float.fromhex(coefficient)
    return total


def exp_parts(x: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """(fraction, n) of e^x = 2^n (1 + fraction)."""
    x = np.clip(x, -708.0, 709.4)
    shifted = x * float.fromhex("0x1.71547652b82fep+0") + SHIFT
    n = shifted - SHIFT
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    tail = horner(
        r,
        (
            "0x1.af389ecfc4b9cp-26",
            "0x1.28917c89a43a7p-22",
            "0x1.71de0db2f6b19p-19",
            "0x1.a019b9149a41cp-16",
            "0x1.a01a01a7c2efep-13",
            "0x1.6c16c17889ef1p-10",
            "0x1.11111111109b5p-7",
            "0x1.5555555553d68p-5",
            "0x1.5555555555556p-3",
            "0x1.0000000000001p-1",
        ),
    )
    return r + (r * r) * tail, n.astype(np.int32)


def exp(x: Floats) -> Floats:
    fraction, n = exp_parts(x)
    return np.ldexp(1.0 + fraction, n)


def expm1(x: Floats) -> Floats:
    fraction, n = exp_parts(x)
    scale = np.ldexp(1.0, n)
    return fraction * scale + (scale - 1.0)


def log(x: Floats) -> Floats:
    m, e = np.frexp(x)  # in [1/2, 1)
    low = m < float.fromhex("0x1.6a09e667f3bcdp-1")
    m, n = np.where(low, 2.0 * m, m), (e - low).astype(np.float64)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = horner(
        z,
        (
            "0x1.2b584aae78a57p-3",
            "0x1.39fe606542ddep-3",
            "0x1.7462b4ab2ef6bp-3",
            "0x1.c71c62e5800a1p-3",
            "0x1.2492492df148dp-2",
            "0x1.99999999952e2p-2",
            "0x1.5555555555558p-1",
        ),
    )
    half_square = 0.5 * f * f
    correction = s * (half_square + z * tail) + n * LN2_LOW
    return n * LN2_HIGH - ((half_square - correction) - f)


def turn(u: Floats) -> tuple[Floats, Floats]:
    """(sin 2 pi u, cos 2 pi u)."""
    quadrant = np.rint(4.0 * u)
    r = u - 0.25 * quadrant
    z = r * r
    s = horner(
        z,
        (
            "0x1.e3f38399551bfp+1",
            "-0x1.e30071afc3e59p+3",
            "0x1.50782fda12d96p+5",
            "-0x1.32d2cce2e5b19p+6",
            "0x1.466bc677587f8p+6",
            "-0x1.4abbce625be41p+5",
        ),
    )
    sine = r * TWO_PI + r * (z * s + TWO_PI_LOW)
    c = horner(
        z,
        (
            "-0x1.b2f3eb054afcdp+0",
            "0x1.f9ce245cada0bp+2",
            "-0x1.a6d1eef479be1p+4",
            "0x1.e1f5068688d5bp+5",
            "-0x1.55d3c7e3cb241p+6",
            "0x1.03c1f081b5ac0p+6",
            "-0x1.3bd3cc9be45dep+4",
        ),
    )
    cosine = 1.0 + z * c
    q = quadrant.astype(np.int64) & 3
    return (
        np.select([q == 0, q == 1, q == 2], [sine, cosine, -sine], -cosine),
        np.select([q == 0, q == 1, q == 2], [cosine, -sine, -cosine], sine),
    )


def standard_normals(seed: int, ids: Words, step: int, purpose: int) -> tuple[Floats, Floats]:
    u1, u2 = uniforms(seed, ids, step, purpose)
    radius = np.sqrt(-2.0 * log(u1))
    sine, cosine = turn(u2)
    return radius * cosine, radius * sine


NIGHT = 2**63  # in the counter's step: the draws of the night before it


def cholesky(covariance: Floats) -> Floats:
    """The lower triangular root."""
    count = len(covariance)
    lower = np.zeros((count, count))
    for j in range(count):
        pivot = covariance[j, j]
        for k in range(j):
            pivot = pivot - lower[j, k] * lower[j, k]
        lower[j, j] = math.sqrt(pivot)
        for i in range(j + 1, count):
            rest = covariance[i, j]
            for k in range(j):
                rest = rest - lower[i, k] * lower[j, k]
            lower[i, j] = rest / lower[j, j]
    return lower


def factor_paths(
    steps: int,
    *,
    volatilities: Floats,
    correlations: Floats,
    drifts: Floats,
    dt: float | Floats,
    seed: int,
    nights: NDArray[np.bool_] | None = None,
    night_dt: float = 0.0,
) -> tuple[Floats, Floats, Floats, Floats]:
    """(increments, levels, shocks), (T, K) each, and the nights' shocks (nights, K). dt: of each step, or of all."""
    count = len(volatilities)
    lower = cholesky(volatilities[:, None] * correlations * volatilities[None, :])
    lengths = np.broadcast_to(dt, steps)

    def increment(step: int, dt: float) -> Floats:
        z, _ = standard_normals(seed, np.arange(count, dtype=np.uint32), step, 1)
        correlated = np.zeros(count)
        for k in range(count):
            for j in range(k + 1):
                correlated[k] = correlated[k] + lower[k, j] * z[j]
        return np.asarray(drifts * dt + math.sqrt(dt) * correlated)

    increments, levels, shocks = (np.empty((steps, count)) for _ in range(3))
    night_shocks = []
    level = np.zeros(count)
    for t in range(steps):
        increments[t] = increment(t + 1, lengths[t])
        shocks[t] = increments[t] - drifts * lengths[t]
        if nights is not None and nights[t]:
            night = increment((t + 1) | NIGHT, night_dt)
            night_shocks.append(night - drifts * night_dt)
            increments[t] = increments[t] + night
        level = level + increments[t]
        levels[t] = level
    return increments, levels, shocks, np.array(night_shocks).reshape(-1, count)


def heston_paths(
    *, factor_increments: Floats, factor_drifts: Floats, dt: float, **parameters: Any
) -> tuple[Floats, Floats]:
    """(prices, variances), (T+1, N) each, as simulate_heston_paths gives them."""
    lengths = np.full(len(factor_increments), dt)
    return instrument_paths(shocks=factor_increments - factor_drifts * dt, dt=lengths, **parameters)


def instrument_paths(
    *,
    initial_prices: Floats,
    initial_variances: Floats,
    drift: Floats,
    kappa: Floats,
    theta: Floats,
    xi: Floats,
    rho: Floats,
    idiosyncratic_volatility: Floats,
    factor_loadings: Floats,
    factor_covariance: Floats,
    dt: Floats,
    shocks: Floats,
    seed: int,
    scheme: str = "euler",
    substeps: int = 1,
    nights: NDArray[np.bool_] | None = None,
    night_dt: float = 0.0,
    night_shocks: Floats | None = None,
) -> tuple[Floats, Floats]:
    """(prices, variances), (T+1, N) each. dt (T,): of each step; shocks (T, K), night_shocks (nights, K): the factors'
    increments less their drift."""
    steps, factors = shocks.shape
    ids = np.arange(len(initial_prices), dtype=np.uint32)
    own = idiosyncratic_volatility * idiosyncratic_volatility
    systematic = np.zeros(len(ids))
    for k in range(factors):
        for j in range(factors):
            systematic = systematic + factor_loadings[:, k] * factor_covariance[k, j] * factor_loadings[:, j]
    net_drift = drift - 0.5 * (own + systematic)

    def walk_step(
        price: Floats, v: Floats, step: int, dt: float, substeps: int, shock: Floats
    ) -> tuple[Floats, Floats]:
        part = dt / substeps
        move: Move
        if scheme == "euler":
            move = euler_move(net_drift * part, kappa, theta, xi, rho, own, part)
        else:
            move = qe_move(net_drift * part, kappa, theta, xi, rho, own, part, seed, ids)
        moved = np.zeros(len(ids))
        for k in range(factors):
            moved = moved + factor_loadings[:, k] * shock[k]
        for substep in range(substeps):
            z_v, z_p = standard_normals(seed, ids, step, 0 + (substep << 8))
            log_return, v = move(v, z_v, z_p, moved, step, substep)
            price = price * exp(log_return)
            moved = np.zeros(len(ids))
        return price, v

    prices, variances = np.empty((steps + 1, len(ids))), np.empty((steps + 1, len(ids)))
    prices[0], variances[0] = initial_prices, initial_variances
    price, v = prices[0], variances[0]
    night = 0
    for t in range(steps):
        if nights is not None and nights[t]:
            assert night_shocks is not None
            price, v = walk_step(price, v, (t + 1) | NIGHT, night_dt, 1, night_shocks[night])
            night += 1
        price, v = walk_step(price, v, t + 1, dt[t], substeps, shocks[t])
        prices[t + 1], variances[t + 1] = price, v
    return prices, variances


Move = Callable[[Floats, Floats, Floats, Floats, int, int], tuple[Floats, Floats]]
"""Of (v, z_v, z_p, the factors' part, step, substep): the log return and the next v."""


Branch = tuple[Floats, Floats, Floats, NDArray[np.bool_]]
"""The next v, x, log E[exp(alpha x)], and whether that is defined."""


def euler_move(drift_dt: Floats, kappa: Floats, theta: Floats, xi: Floats, rho: Floats, own: Floats, dt: float) -> Move:
    root_dt = math.sqrt(dt)

    def move(v: Floats, z_v: Floats, z_p: Floats, shock: Floats, _step: int, _substep: int) -> tuple[Floats, Floats]:
        truncated = np.where(v > 0.0, v, 0.0)
        root = np.sqrt(truncated)
        diffusion = (rho * root) * z_v + np.sqrt((1.0 - rho * rho) * truncated + own) * z_p
        log_return = ((drift_dt - (0.5 * dt) * truncated) + shock) + root_dt * diffusion
        return log_return, (v + (kappa * dt) * (theta - truncated)) + ((xi * root_dt) * root) * z_v

    return move


def qe_move(
    drift_dt: Floats,
    kappa: Floats,
    theta: Floats,
    xi: Floats,
    rho: Floats,
    own: Floats,
    dt: float,
    seed: int,
    ids: Words,
) -> Move:
    """The formulas stand in csrc/simulate/heston_qe_kernel.cpp."""
    kappa_dt = kappa * dt
    decay, q = exp(-kappa_dt), -expm1(-kappa_dt)
    positive = kappa_dt > 0.0
    c = np.where(positive, (q / np.where(positive, kappa_dt, 1.0)) * dt, dt)
    rho = np.where(xi > 0.0, rho, 0.0)
    lift = rho * (1.0 + 0.5 * kappa_dt)
    quarter_rho = 0.25 * ((rho * rho) * dt)
    alpha = lift - xi * quarter_rho
    plain = np.where(xi > 0.0, (rho / np.where(xi > 0.0, xi, 1.0)) * (q * (1.0 + 0.5 * kappa_dt) - kappa_dt), 0.0)

    def quadratic(m: Floats, h: Floats, w: Floats, z: Floats, i: Words) -> Branch:
        r = np.sqrt(4.0 - 2.0 * (w * w))
        b_squared = (2.0 - w * w) + r
        b, share = np.sqrt(b_squared), 1.0 / (2.0 + r)
        g = (2.0 * h) * share
        tilt = alpha[i] * g
        y = w * tilt
        defined = y < 1.0
        rest = np.where(defined, 1.0 - y, 1.0)
        moment = 0.5 * ((b_squared * (tilt * tilt)) / rest - (log(rest) + y))
        normal = b + w * z
        return (m * share) * (normal * normal), g * (b * z + (0.5 * w) * (z * z - 1.0)), moment, defined

    def exponential(m: Floats, h: Floats, w: Floats, u: Floats, i: Words) -> Branch:
        t = 2.0 / (1.0 + w * w)
        ratio = np.where(u < t, log(np.where(u < t, t / u, 1.0)), 0.0) / t
        scale = h / w
        y = (alpha[i] * scale) / t
        defined = y < 1.0
        bounded = np.where(defined, y, 0.0)
        moment = log((1.0 - (1.0 - t) * bounded) / (1.0 - bounded)) - alpha[i] * scale
        return m * ratio, scale * (ratio - 1.0), moment, defined

    def move(v: Floats, z_v: Floats, z_p: Floats, shock: Floats, step: int, substep: int) -> tuple[Floats, Floats]:
        m = v * decay + theta * q
        h = np.sqrt(v * (c * decay) + 0.5 * ((theta * q) * c))
        alive = m > 1e-200
        w = np.where(alive, (xi * h) / np.where(alive, m, 1.0), 0.0)
        u, _ = uniforms(seed, ids, step, 3 + (substep << 8))
        next_v, x, moment = np.empty_like(v), np.empty_like(v), np.empty_like(v)
        defined = np.empty(len(v), dtype=bool)
        for branch, draws, chosen in ((quadratic, z_v, w * w <= 1.5), (exponential, u, w * w > 1.5)):
            i = np.flatnonzero(chosen).astype(np.uint32)
            next_v[i], x[i], moment[i], defined[i] = branch(m[i], h[i], w[i], draws[i], i)
        correction = np.where(defined, quarter_rho * (v + m) - moment, plain * theta - plain * v)
        both = v + next_v
        last = np.sqrt((0.5 * ((1.0 - rho * rho) * dt)) * both + own * dt)
        drift = (drift_dt - (0.25 * dt) * both) + shock
        return drift + ((lift * x + correction) + last * z_p), next_v

    return move
