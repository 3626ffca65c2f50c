"""The newest quote of each instrument and its session's open, high and low, as a worker holds them.

Open, high and low are a session's only if every tick of it up to the quote's own is in them. So the worker keeps, for
each instrument, up to which step that is so (`covered`), and says nothing about the session until that is the quote's
step. Ticks may come twice and in any order of batches: an older one never replaces a newer one, and high and low do not
mind being told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode import QuoteEncoder
from pseudofeed.market.clock import Clock, Session
from pseudofeed.records import Columns
from pseudofeed.times import format_time

__all__ = ["FIELDS", "NewestQuotes", "SessionQuotes", "iso_time"]

# The fields of a quote but its epoch, in the order in which quote.lua takes them.
FIELDS = ("sequence", "time", "time_ns", "price", "variance", "session", "open", "high", "low")

_NOTHING = -1  # no session's first step


@dataclass(frozen=True, slots=True, eq=False)
class SessionQuotes:
    """Instruments (numbers) whose session is known up to their quote: what a cold start has found elsewhere."""

    instrument: NDArray[np.intp]
    sequence: NDArray[np.int64]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    variance: NDArray[np.float64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


class Told:
    """What the server has of each quote's session, as long as nobody else writes there; (N,) arrays.

    known, in_part: 0 or 1, as QuoteEncoder takes them.
    """

    def __init__(self, instruments: int) -> None:
        self.first = np.full(instruments, _NOTHING, np.int64)
        self.open, self.high, self.low = np.zeros((3, instruments))
        self.known, self.in_part = np.zeros((2, instruments), np.uint8)

    def forget(self) -> None:
        self.first[:] = _NOTHING


@dataclass(slots=True, eq=False)
class NewestQuotes:
    """(N,) arrays over the instruments of a market; sequence 0: none came yet. `changed`: not written since it came.

    first: the first step of the session that open, high and low are of; covered: the last step up to which all of that
    session's are in them.
    """

    clock: Clock
    instruments: int
    sequence: NDArray[np.int64] = field(init=False)
    time: NDArray[np.int64] = field(init=False)
    price: NDArray[np.float64] = field(init=False)
    variance: NDArray[np.float64] = field(init=False)
    first: NDArray[np.int64] = field(init=False)
    covered: NDArray[np.int64] = field(init=False)
    open: NDArray[np.float64] = field(init=False)
    high: NDArray[np.float64] = field(init=False)
    low: NDArray[np.float64] = field(init=False)
    changed: NDArray[np.bool_] = field(init=False)
    told: Told = field(init=False)
    _session: Session = field(init=False, default=Session(0, 0, 0))
    _opening_of: tuple[int, str] = field(init=False, default=(0, ""))

    def __post_init__(self) -> None:
        for name in ("sequence", "time", "first", "covered"):
            setattr(self, name, np.zeros(self.instruments, np.int64))
        for name in ("price", "variance", "open", "high", "low"):
            setattr(self, name, np.zeros(self.instruments))
        self.changed = np.zeros(self.instruments, np.bool_)
        self.told = Told(self.instruments)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whose open, high and low are those of the session up to the quote."""
        known: NDArray[np.bool_] = (self.sequence > 0) & (self.covered == self.sequence)
        return known

    def take(self, columns: Columns) -> None:
        """Take ticks in; they may be old ones. Within an instrument and a call their steps have no gaps, or the session
        counts as not known from there on."""
        if not len(columns):
            return
        known = self.known
        rest = columns
        while len(rest):
            # Nearly always all ticks are of one session, and the one before was of the same.
            session = self.session(int(rest.sequence.min()))
            inside = rest.sequence <= session.last_step
            self._take(rest.where(inside), session)
            rest = rest.where(~inside)
        self.changed |= self.known & ~known

    def session(self, step: int) -> Session:
        if not self._session.first_step <= step <= self._session.last_step:
            self._session = self.clock.session(step)
        return self._session

    def _take(self, columns: Columns, session: Session) -> None:
        """Ticks of one session."""
        number, step, price = columns.number.astype(np.intp), columns.sequence, columns["price"]
        count = np.bincount(number, minlength=self.instruments)
        earliest, latest = np.full(self.instruments, np.iinfo(np.int64).max), np.zeros(self.instruments, np.int64)
        np.minimum.at(earliest, number, step)
        np.maximum.at(latest, number, step)
        there = count > 0
        if (count[there] != (latest - earliest)[there] + 1).any():
            # Repeated ticks, or missing ones. Count each once: then only missing ones leave a difference.
            once = np.unique(step * self.instruments + number) % self.instruments
            count = np.bincount(once, minlength=self.instruments)
        begins = there & (self.first < session.first_step)
        self.first[begins] = session.first_step
        self.covered[begins] = session.first_step - 1
        self.high[begins], self.low[begins] = -np.inf, np.inf
        current = there & (self.first == session.first_step)
        mine = slice(None) if current[there].all() else current[number]
        np.maximum.at(self.high, number[mine], price[mine])
        np.minimum.at(self.low, number[mine], price[mine])
        opening = np.flatnonzero(step == session.first_step)
        opening = opening[current[number[opening]]]
        self.open[number[opening]] = price[opening]
        joins = current & (count == latest - earliest + 1) & (earliest <= self.covered + 1)
        self.covered[joins] = np.maximum(self.covered, latest)[joins]

        newest = np.flatnonzero(step == latest[number])
        newest = newest[step[newest] > self.sequence[number[newest]]]
        at = number[newest]
        self.sequence[at], self.time[at] = step[newest], columns.time[newest]
        self.price[at], self.variance[at] = price[newest], columns["variance"][newest]
        self.changed[at] = True

    def adopt(self, state: SessionQuotes) -> None:
        """Begin with what a cold start has found, where it is not older than what is held."""
        newer = state.sequence >= self.sequence[state.instrument]
        at = state.instrument[newer]
        for name in ("sequence", "time", "price", "variance", "open", "high", "low"):
            getattr(self, name)[at] = getattr(state, name)[newer]
        self.covered[at] = state.sequence[newer]
        self.first[at] = [self.session(step).first_step for step in state.sequence[newer].tolist()]
        self.changed[at] = True

    def forget(self, instruments: NDArray[np.intp]) -> None:
        self.sequence[instruments] = self.first[instruments] = self.covered[instruments] = 0
        self.changed[instruments] = False

    def encoder(self, symbols: Sequence[str]) -> QuoteEncoder:
        """It sees these quotes as they are, and as `prepare` has left them."""
        return QuoteEncoder(
            symbols,
            sequence=self.sequence,
            time=self.time,
            price=self.price,
            variance=self.variance,
            first=self.first,
            known=self.told.known,
            in_part=self.told.in_part,
            open=self.open,
            high=self.high,
            low=self.low,
        )

    def prepare(self) -> dict[int, str]:
        """Before quotes are encoded: what of them need not be told again. The openings of their sessions."""
        told = self.told
        told.known[:] = self.known
        in_part = (told.first == self.first) & (told.open == self.open)
        told.in_part[:] = in_part & (told.high == self.high) & (told.low == self.low)
        return {step: self._opening(step) for step in set(self.first.tolist()) - {0}}

    def were_told(self, which: NDArray[np.bool_]) -> None:
        """The server has these (N,) now, as they were encoded."""
        told = self.told
        told.first[which] = np.where(told.known, self.first, _NOTHING)[which]
        for name in ("open", "high", "low"):
            np.copyto(getattr(told, name), getattr(self, name), where=which)
        self.changed &= ~which

    def _opening(self, first_step: int) -> str:
        """When the session with that first step opens, as text."""
        if self._opening_of[0] != first_step:
            self._opening_of = first_step, format_time(self.clock.session(first_step).opening_ns)
        return self._opening_of[1]


def iso_time(time_ns: int) -> str:
    """ISO 8601 in UTC with nine digits: 2026-03-02T14:30:00.000000000Z."""
    return f"{np.datetime64(time_ns, 'ns')}Z"
