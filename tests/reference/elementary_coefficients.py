"""Where the numbers in csrc/random/elementary.h come from: run it to print them again.

Each polynomial interpolates its function at Chebyshev nodes in 60 digits and is then rounded to doubles: within a few
per cent of
minimax, and its own error (below 2e-17, printed too) is far under the rounding of its evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import mpmath

mpmath.mp.dps = 60


def interpolate(
    function: Callable[[mpmath.mpf], mpmath.mpf], low: mpmath.mpf, high: mpmath.mpf, degree: int
) -> list[float]:
    """Coefficients, constant first, of the polynomial through `degree + 1` Chebyshev nodes of [low, high]."""
    count = degree + 1
    nodes = [
        (low + high) / 2 + (high - low) / 2 * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * count)) for i in range(count)
    ]
    matrix = mpmath.matrix(count, count)
    values = mpmath.matrix(count, 1)
    for i, x in enumerate(nodes):
        values[i] = function(x)
        for j in range(count):
            matrix[i, j] = x**j
    return [float(c) for c in mpmath.lu_solve(matrix, values)]


def series(terms: Callable[[int], mpmath.mpf]) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """The power series with these terms: the quotients below cancel at 0 when written directly."""
    return lambda x: mpmath.fsum(terms(n) * x**n for n in range(40))


def tables() -> dict[str, list[float]]:
    """Name in elementary.h -> coefficients, constant term first."""
    half_ln2 = mpmath.log(2) / 2
    two_pi = 2 * mpmath.pi
    s_max = (mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)
    return {
        # (e^r - 1 - r) / r^2 for |r| <= ln(2)/2
        "exp_tail": interpolate(series(lambda n: 1 / mpmath.factorial(n + 2)), -half_ln2, half_ln2, 9),
        # (log(1 + f) - 2 s) / s = z R(z), z = s^2, s = f / (2 + f)
        "log_tail": interpolate(series(lambda n: mpmath.mpf(2) / (2 * n + 3)), mpmath.mpf(0), s_max**2, 6),
        # sin(2 pi r) = r S(r^2) for |r| <= 1/8; the first coefficient, 2 pi, is split below
        "sine": interpolate(
            series(lambda n: (-1) ** n * two_pi ** (2 * n + 1) / mpmath.factorial(2 * n + 1)),
            mpmath.mpf(0),
            mpmath.mpf(1) / 64,
            6,
        ),
        # (cos(2 pi r) - 1) / r^2 for |r| <= 1/8
        "cosine_tail": interpolate(
            series(lambda n: (-1) ** (n + 1) * two_pi ** (2 * n + 2) / mpmath.factorial(2 * n + 2)),
            mpmath.mpf(0),
            mpmath.mpf(1) / 64,
            6,
        ),
    }


def main() -> None:
    for name, coefficients in tables().items():
        sys.stdout.write(f"{name}: {', '.join(c.hex() for c in coefficients)}\n")
    ln2_high = float(mpmath.floor(mpmath.log(2) * 2**42) / 2**42)  # 42 bits: exact times any exponent of a double
    sys.stdout.write(f"ln2: {ln2_high.hex()}, {float(mpmath.log(2) - mpmath.mpf(ln2_high)).hex()}\n")
    two_pi = float(2 * mpmath.pi)
    sys.stdout.write(f"two_pi: {two_pi.hex()}, {float(2 * mpmath.pi - mpmath.mpf(two_pi)).hex()}\n")
    sys.stdout.write(f"log2_e: {float(1 / mpmath.log(2)).hex()}\n")


if __name__ == "__main__":
    main()
