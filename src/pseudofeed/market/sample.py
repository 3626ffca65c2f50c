"""The tables of a sample market: everything that Market.sample doesn't ask for, at sensible annual values."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from pseudofeed.errors import MarketFileError
from pseudofeed.market.file import MOST_FACTORS

__all__ = ["drawn_symbols", "sample_tables"]

# Volatilities a year in the order of size of what factor-portfolio research reports: the market's 16 %, style factors'
# 4 to 8 %.
_FACTORS = {
    "market": 0.16,
    "size": 0.08,
    "value": 0.06,
    "momentum": 0.07,
    "quality": 0.05,
    "low_volatility": 0.05,
    "growth": 0.05,
    "carry": 0.04,
    "liquidity": 0.04,
    "dividend": 0.04,
}
_OTHER_VOLATILITY = 0.04

# Invented, and near the spelling alphabet so that they can be read aloud.
_WORDS = [
    *("ALFA", "BRVO", "CHRL", "DLTA", "ECHO", "FXTR", "GLFO", "HOTL", "INDI", "JLIT", "KILO", "LIMA", "MIKE"),
    *("NOVR", "OSCR", "PPAA", "QUBE", "ROMO", "SIER", "TNGO", "UNIF", "VCTR", "WSKY", "XRAY", "YNKE", "ZULU"),
]


def sample_tables(
    *, instruments: int, factors: int, seed: int, name: str, step: str, start: str | datetime
) -> dict[str, object]:
    """The tables, in which numpy's integers have become Python's. Raises MarketFileError where `factors` is no number
    of them; all else is judged as a market file's."""
    instruments, factors, seed = (int(n) if isinstance(n, np.integer) else n for n in (instruments, factors, seed))
    if isinstance(factors, bool) or not isinstance(factors, int) or not 1 <= factors <= MOST_FACTORS:
        raise MarketFileError(
            f"Market.sample: factors: found {factors!r}; must be a whole number from 1 to {MOST_FACTORS}"
        )
    names = list(_FACTORS)[:factors] + [f"factor{number}" for number in range(len(_FACTORS) + 1, factors + 1)]
    return {
        "market": {"name": name, "seed": seed},
        "clock": {"start": start, "step": step},
        "factors": {
            "names": names,
            "volatilities": [_FACTORS.get(factor, _OTHER_VOLATILITY) for factor in names],
            "correlations": [[_correlation(i, j) for j in range(factors)] for i in range(factors)],
        },
        "instruments": {"count": instruments},
    }


def _correlation(i: int, j: int) -> float:
    """0.2 between neighbours, halved with every step apart, of both signs.

    It is 0.6 I + 0.4 A with A the correlations of an AR(1) process (0.5 to the distance), so positive definite.
    """
    if i == j:
        return 1.0
    sign = 1 if (i // 2 + j // 2) % 2 == 0 else -1
    return sign * round(0.4 * 0.5 ** abs(i - j), 4)


def drawn_symbols(count: int, taken: set[str]) -> list[str]:
    """ALFA, BRVO, ... ZULU, ALFA2, ... without those that are taken."""
    symbols: list[str] = []
    turn = 1
    while len(symbols) < count:
        names = [word if turn == 1 else f"{word}{turn}" for word in _WORDS]
        symbols += [name for name in names if name not in taken][: count - len(symbols)]
        turn += 1
    return symbols
