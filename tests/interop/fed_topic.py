"""A feed's topics, and whether what a client printed of them is the simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from live.pipe import START, Until, bits
from pseudofeed.market import Market
from pseudofeed.publish.feed import feed
from pseudofeed.settings import Connections
from pseudofeed.simulate.paths import Paths

STEPS = 200
INSTRUMENTS = 20
PARTITIONS = 3


def fed(connections: Connections, name: str, mode: str = "block", encoding: str = "sbe") -> Market:
    """A market with the steps 1 to STEPS of ticks and factors in its topics."""
    market = Market.sample(instruments=INSTRUMENTS, factors=2, seed=11, name=name, step="1s", start=START)
    feed(market, connections, Until(), steps=STEPS, mode=mode, encoding=encoding, partitions=PARTITIONS)
    return market


def assert_are_the_ticks(paths: Paths, lines: list[str]) -> None:
    """Lines of sequence, number, time, price and variance: each tick of `paths` once, in every bit."""
    _assert_holds(paths.time, paths.prices, paths.variances, lines)


def assert_are_the_factors(paths: Paths, lines: list[str]) -> None:
    """Lines of sequence, factor, time, increment and level."""
    none = np.zeros_like(paths.factor_levels[:1])
    _assert_holds(paths.time, np.vstack([none, paths.factor_increments]), paths.factor_levels, lines)


def _assert_holds(
    time: NDArray[np.int64], first: NDArray[np.float64], second: NDArray[np.float64], lines: list[str]
) -> None:
    rows = [line.split() for line in lines]
    steps, columns, times = (np.array([int(row[k]) for row in rows]) for k in range(3))
    assert len(set(zip(steps.tolist(), columns.tolist(), strict=True))) == len(lines) == first[1:].size
    assert np.array_equal(times, time[steps])
    for values, k in ((first, 3), (second, 4)):
        assert np.array_equal(bits(np.array([float(row[k]) for row in rows])), bits(values[steps, columns]))
