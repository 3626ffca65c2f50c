"""Makes the clock of a specification, and the notes for users when a market is loaded and when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pseudofeed.errors import MarketFileError, PseudofeedError
from pseudofeed.market.clock import Clock
from pseudofeed.market.exchange import ALWAYS_OPEN, REACH_YEARS, resolve_timetable
from pseudofeed.market.file import NOW
from pseudofeed.market.schemes import SCHEMES
from pseudofeed.market.specification import Specification
from pseudofeed.market.timetable import DAY_NS, Timetable
from pseudofeed.times import format_time, parse_step, parse_time

if TYPE_CHECKING:
    from pseudofeed.market.market import Market

__all__ = ["clock_of", "load_notes", "reach", "resolve", "start_notes"]

_REACH_NS = REACH_YEARS * 1461 * DAY_NS // 4


def clock_of(specification: Specification) -> Clock | None:
    """The clock; None while the start is "now" or the timetable is not resolved. Raises MarketFileError if the market
    has no step before its end."""
    table: Any = specification["clock"]
    if table["start"] == NOW or (table["calendar"] != ALWAYS_OPEN and table["timetable"] is None):
        return None
    end_ns = None if table["end"] is None else parse_time(table["end"])
    start_ns = parse_time(table["start"])
    if end_ns is not None and end_ns <= start_ns:
        raise MarketFileError(f"clock.end: found {table['end']}; it is not after the start, {table['start']}")
    timetable = None if table["timetable"] is None else Timetable.of_table(table["timetable"])
    clock = Clock(start_ns, parse_step(table["step"]), timetable, table["overnight_variance"], end_ns)
    if clock.last_step is not None and clock.last_step < 1:
        raise MarketFileError(f"clock.end: found {table['end']}; no step of {table['step']} ends before it")
    return clock


def resolve(specification: Specification) -> Timetable:
    """The timetable of the specification's calendar, by the library that is installed. Raises as
    `resolve_timetable`."""
    table: Any = specification["clock"]
    end_ns = None if table["end"] is None else parse_time(table["end"])
    return resolve_timetable(table["calendar"], parse_time(table["start"]), end_ns)


def reach(market: Market) -> str | None:
    """How far a market reaches, as a sentence; None for one that never ends."""
    clock = market.clock
    until = format_time(clock.known_until_ns)
    if clock.end_ns is not None:
        return f"market {market.name} ends at {until}, with step {clock.last_step}"
    if clock.timetable is not None:
        return f"market {market.name}: its timetable reaches to {until}, step {clock.last_known_step}"
    return None


def load_notes(market: Market) -> list[str]:
    """What is valid, but probably a mistake: a timetable that ends early, an Euler step that is too long."""
    return [*_early_end(market.clock), *_coarse_steps(market)]


def start_notes(given: Market, registered: Market) -> list[str]:
    """Notes for users when a market starts or continues. given: the market of the file; registered: as registered."""
    notes = []
    if not given.names_seed:
        notes.append(
            f"market {given.name}: the file names no market.seed, so it is 0, as in every other file without one: two "
            "such markets with the same tables have the same ticks"
        )
    notes += load_notes(registered)
    clock = registered.clock
    if clock.timetable is not None and not given.is_frozen:
        try:
            other = resolve(registered.specification)
        except PseudofeedError:  # no library, or one without this calendar: the market does not need it
            return notes
        day = clock.timetable.first_difference(other)
        if day is not None:
            notes.append(
                f"market {registered.name} keeps the timetable that it was registered with ({clock.timetable.source}); "
                f"that of {other.source}, which is installed, would first differ on {day}"
            )
    return notes


def _early_end(clock: Clock) -> list[str]:
    timetable = clock.timetable
    wanted_ns = clock.start_ns + _REACH_NS if clock.end_ns is None else clock.end_ns
    if timetable is None or timetable.until_ns >= wanted_ns:
        return []
    return [
        f"clock.calendar: {timetable.source or 'the timetable'} knows the calendar only until "
        f"{format_time(timetable.until_ns)}: the market ends there, with step {clock.last_known_step}"
    ]


def _coarse_steps(market: Market) -> list[str]:
    scheme = SCHEMES[market.simulation.scheme]
    clock = market.clock
    longest = max(clock.longest_dt / market.simulation.substeps, clock.night_dt)
    kappa = market.instruments.kappa
    worst = int(kappa.argmax())
    note = scheme.coarse(float(kappa[worst]) * longest, f"instrument {market.symbols[worst]}")
    return [] if note is None else [f"simulation.scheme: {note}"]
