from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class QuoteEncoder:
    def __init__(
        self,
        symbols: Sequence[str],
        *,
        sequence: NDArray[np.int64],
        time: NDArray[np.int64],
        price: NDArray[np.float64],
        variance: NDArray[np.float64],
        first: NDArray[np.int64],
        known: NDArray[np.uint8],
        in_part: NDArray[np.uint8],
        open: NDArray[np.float64],
        high: NDArray[np.float64],
        low: NDArray[np.float64],
    ) -> None: ...
    def encode(self, instruments: NDArray[np.int64], openings: dict[int, str]) -> tuple[bytes, bytes]: ...

def decode_quotes(answers: list[object], integers: NDArray[np.int64], doubles: NDArray[np.float64]) -> bool: ...
