"""The two streams of a market that are stored as they come, and the tables that they go to.

Their rows have one form, (time, id, float8, float8): so one sink and one encoder serve both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pseudofeed.store.registry import StoredMarket

__all__ = ["FACTORS", "TICKS", "Series"]


@dataclass(frozen=True, slots=True)
class Series:
    """stream: the topic is <stream>.<market>. key: the column beside the time; values: the two behind it.
    indexed_by_chunk: the table has no index of its own (chunk_index.py)."""

    stream: str
    table: str
    key: str
    values: tuple[str, str]
    indexed_by_chunk: bool

    @property
    def copy(self) -> str:
        return f"COPY {self.table} (time, {self.key}, {', '.join(self.values)}) FROM STDIN (FORMAT binary)"

    def ids(self, market: StoredMarket) -> NDArray[np.int32]:
        """The ids in `key`, by number in the market."""
        return market.instrument_ids if self is TICKS else market.factor_ids


TICKS = Series("ticks", "tick", "instrument_id", ("price", "variance"), indexed_by_chunk=True)
FACTORS = Series("factors", "factor_level", "factor_id", ("increment", "level"), indexed_by_chunk=False)
