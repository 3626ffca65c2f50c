import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

def csv_size_limit(rows: int, files: int, columns: int) -> int: ...
def encode_csv_into(
    buffer: Buffer,
    *,
    times: NDArray[np.int64],
    decimals: int,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    begin: int,
    files: int,
    columns: int,
) -> NDArray[np.int64]: ...
