"""The newest quote of each instrument, as a worker holds them and as a reader gets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode import TickColumns

__all__ = ["FIELDS", "NewestQuotes", "iso_time"]

# The fields of a quote behind its epoch, in the order in which quote.lua takes them.
FIELDS = ("sequence", "time", "time_ns", "price", "variance")


@dataclass(frozen=True, slots=True, eq=False)
class NewestQuotes:
    """(N,) arrays over the instruments of a market; sequence 0: none came yet. `changed`: not written since it came."""

    sequence: NDArray[np.int64]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    variance: NDArray[np.float64]
    changed: NDArray[np.bool_]

    @classmethod
    def none_yet(cls, instruments: int) -> NewestQuotes:
        return cls(
            np.zeros(instruments, np.int64),
            np.zeros(instruments, np.int64),
            np.zeros(instruments),
            np.zeros(instruments),
            np.zeros(instruments, np.bool_),
        )

    def take(self, columns: TickColumns) -> None:
        """Keep the last tick of each instrument in `columns`, which ascend within an instrument, if it is newer."""
        last = np.full(len(self.sequence), -1, np.int64)
        last[columns.instrument] = np.arange(len(columns))
        instruments = np.flatnonzero(last >= 0)
        instruments = instruments[columns.sequence[last[instruments]] > self.sequence[instruments]]
        at = last[instruments]
        self.sequence[instruments] = columns.sequence[at]
        self.time[instruments] = columns.time[at]
        self.price[instruments] = columns.price[at]
        self.variance[instruments] = columns.variance[at]
        self.changed[instruments] = True

    def forget(self, instruments: NDArray[np.intp]) -> None:
        self.sequence[instruments] = 0
        self.changed[instruments] = False

    def arguments(self, instruments: NDArray[np.intp]) -> list[str]:
        """The quotes of these instruments as arguments of quote.lua, one FIELDS after the other."""
        found: list[str] = []
        for sequence, time, price, variance in zip(
            self.sequence[instruments].tolist(),
            self.time[instruments].tolist(),
            self.price[instruments].tolist(),
            self.variance[instruments].tolist(),
            strict=True,
        ):
            found += (str(sequence), iso_time(time), str(time), repr(price), repr(variance))
        return found


def iso_time(time_ns: int) -> str:
    """ISO 8601 in UTC with nine digits: 2026-03-02T14:30:00.000000000Z."""
    return f"{np.datetime64(time_ns, 'ns')}Z"
