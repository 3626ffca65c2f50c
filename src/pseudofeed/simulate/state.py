"""The state of a simulation: everything that later steps depend on.

A tick shows an instrument's price and variance. The state has more than that if a scheme has hidden numbers. It is a
set of named arrays, so that code that stores and resumes it does not depend on the scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market.schemes import SCHEMES

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["FACTOR_LEVEL", "PRICE", "VARIANCE", "MarketState", "StateForm", "state_form"]

Floats = NDArray[np.float64]

PRICE, VARIANCE, FACTOR_LEVEL = "price", "variance", "factor_level"

# The version of the arrays that every scheme has; the scheme has a version of its own for its hidden arrays.
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class MarketState:
    """The state after `step`. arrays: by name, float64: "price" and "variance" (N,), "factor_level" (K,), and the
    scheme's hidden ones (N,)."""

    step: int
    arrays: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class StateForm:
    """The form of a market's states. version: changes when arrays of the same names get another meaning. shapes: of
    each array."""

    version: int
    shapes: Mapping[str, tuple[int, ...]]


def state_form(market: Market) -> StateForm:
    """The form of the states of a market's simulation."""
    scheme = SCHEMES[market.simulation.scheme]
    instruments = (len(market.symbols),)
    shapes = dict.fromkeys((PRICE, VARIANCE, *scheme.hidden), instruments)
    return StateForm(_VERSION << 16 | scheme.state_version, {**shapes, FACTOR_LEVEL: (len(market.factors.names),)})
