from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def copy_rows(
    numbers: NDArray[np.int32], ids: NDArray[np.integer], columns: Sequence[tuple[str, NDArray[Any]]]
) -> bytes: ...
