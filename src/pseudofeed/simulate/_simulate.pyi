from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]
Flags = NDArray[np.uint8]
Stopping = Callable[[], bool]

LOWEST_PRICE: float
HIGHEST_PRICE: float

def instruction_set() -> str: ...
def walk_factors(
    root: Floats,
    drift: Floats,
    key: int,
    first_step: int,
    dt: Floats,
    level: Floats,
    increments: Floats,
    levels: Floats,
    shocks: Floats | None = None,
    night_shocks: Floats | None = None,
    *,
    nights: Flags | None = None,
    night_dt: float = 0.0,
    stopping: Stopping | None = None,
) -> None: ...

class Heston:
    def __init__(
        self,
        *,
        ids: Words,
        drift: Floats,
        kappa: Floats,
        theta: Floats,
        xi: Floats,
        rho: Floats,
        idiosyncratic_volatility: Floats,
        factor_loadings: Floats,
        factor_covariance: Floats,
        key: int,
        scheme: str,
        substeps: int,
    ) -> None: ...
    def walk(
        self,
        first_step: int,
        dt: Floats,
        shocks: Floats,
        state: Floats,
        prices: Floats | None = None,
        variances: Floats | None = None,
        *,
        nights: Flags | None = None,
        night_dt: float = 0.0,
        night_shocks: Floats | None = None,
        old_prices: Floats | None = None,
        old_variances: Floats | None = None,
        threads: int = 1,
        stopping: Stopping | None = None,
    ) -> int: ...
    def may_fail(self, steps: int, dt: float, shock_sums: Floats, state: Floats) -> bool: ...
