from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

QUOTE_TEXTS: int

class QuoteEncoder:
    def __init__(self, symbols: Sequence[str]) -> None: ...
    def encode(
        self,
        instruments: NDArray[np.int64],
        *,
        sequence: NDArray[np.int64],
        time: NDArray[np.int64],
        price: NDArray[np.float64],
        variance: NDArray[np.float64],
        first: NDArray[np.int64],
        known: NDArray[np.uint8],
        openings: dict[int, str],
        open: NDArray[np.float64],
        high: NDArray[np.float64],
        low: NDArray[np.float64],
    ) -> tuple[bytes, bytes]: ...
