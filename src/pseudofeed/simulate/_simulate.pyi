import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]

def instruction_set() -> str: ...
def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]: ...
def standard_normals(seed: int, ids: Words, step: int, purpose: int) -> tuple[Floats, Floats]: ...
def uniforms(seed: int, ids: Words, step: int, purpose: int) -> tuple[Floats, Floats]: ...
def exp(x: Floats) -> Floats: ...
def expm1(x: Floats) -> Floats: ...
def log(x: Floats) -> Floats: ...
def turn(u: Floats) -> tuple[Floats, Floats]: ...
def cholesky(covariance: Floats) -> Floats: ...
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
