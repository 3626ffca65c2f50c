from collections.abc import Iterable
from typing import Any

from numpy.typing import DTypeLike, NDArray

class ColumnMemory:
    def arrays(self, length: int, dtypes: Iterable[DTypeLike]) -> tuple[NDArray[Any], ...]: ...
    @property
    def size(self) -> int: ...
