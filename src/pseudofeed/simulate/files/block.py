"""The interface of a block that the writers of files use: `simulate.paths.TickBlock` has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Write"]


class Block(Protocol):
    """T consecutive steps of N instruments and K factors. time: int64 (T,), ns since 1970, UTC. prices, variances:
    float64 (T, N). factor_increments, factor_levels: float64 (T, K)."""

    @property
    def first_step(self) -> int: ...
    @property
    def time(self) -> NDArray[np.int64]: ...
    @property
    def prices(self) -> NDArray[np.float64]: ...
    @property
    def variances(self) -> NDArray[np.float64]: ...
    @property
    def factor_increments(self) -> NDArray[np.float64]: ...
    @property
    def factor_levels(self) -> NDArray[np.float64]: ...


Write = Callable[[Block], None]
"""Writes the next block to a file."""
