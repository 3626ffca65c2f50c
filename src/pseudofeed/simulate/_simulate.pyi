import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]

def instruction_set() -> str: ...
def factor_paths(
    lower: Floats,
    drift_dt: Floats,
    sqrt_dt: float,
    seed: int,
    first_step: int,
    level_state: Floats,
    increments: Floats,
    levels: Floats,
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
        dt: float,
        seed: int,
        scheme: str,
        substeps: int,
    ) -> None: ...
    def walk(
        self,
        first_step: int,
        shocks: Floats,
        price: Floats,
        variance: Floats,
        prices: Floats | None = None,
        variances: Floats | None = None,
        *,
        threads: int = 1,
    ) -> None: ...
