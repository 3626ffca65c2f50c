"""PostgreSQL's binary COPY, slowly: the documentation's "Binary Format" put into struct and sorted()."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

EPOCH = 946_684_800_000_000_000  # 2000-01-01T00:00:00Z in ns since 1970

Tick = tuple[int, int, float, float]
"""time (ns), instrument number, price, variance"""


def encode_rows(ticks: Iterable[Tick], instrument_ids: Sequence[int]) -> bytes:
    """sorted() is stable: ticks of one instrument keep their order."""
    rows = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    for time, instrument, price, variance in sorted(ticks, key=lambda tick: tick[1]):
        microseconds, rest = divmod(time - EPOCH, 1000)
        if rest:
            raise ValueError(f"{time} ns is not a whole number of microseconds")
        rows += struct.pack(">h", 4)
        rows += struct.pack(">iq", 8, microseconds)
        rows += struct.pack(">ii", 4, instrument_ids[instrument])
        rows += struct.pack(">id", 8, price)
        rows += struct.pack(">id", 8, variance)
    return rows + struct.pack(">h", -1)
