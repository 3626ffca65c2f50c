"""The state of a simulation: everything that the steps after some step depend on.

A price and a variance are what a tick shows of an instrument; the state is more than that where a scheme keeps hidden
numbers. It is a set of named arrays, so that whoever stores and resumes it needs to know no scheme.
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

# Of the arrays that every scheme has; a scheme's own version counts the hidden ones'.
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class MarketState:
    """The state after `step`. arrays: by name, float64: "price" and "variance" (N,), "factor_level" (K,), and the
    scheme's hidden ones (N,)."""

    step: int
    arrays: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class StateForm:
    """What the states of a market look like. version: another one where arrays of the same names mean something else.
    shapes: of each array."""

    version: int
    shapes: Mapping[str, tuple[int, ...]]


def state_form(market: Market) -> StateForm:
    """The form of the states of a market's simulation."""
    scheme = SCHEMES[market.simulation.scheme]
    instruments = (len(market.symbols),)
    shapes = dict.fromkeys((PRICE, VARIANCE, *scheme.hidden), instruments)
    return StateForm(_VERSION << 16 | scheme.state_version, {**shapes, FACTOR_LEVEL: (len(market.factors.names),)})
