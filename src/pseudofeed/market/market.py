"""A market: everything that defines a simulation, complete and immutable.

Everything else in the package takes a Market or its specification (specification.py). Two markets with the same
fingerprint have the same ticks. Parameters are drawn when the market is created; nothing is simulated then.
"""

from __future__ import annotations

import copy
import difflib
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pseudofeed.errors import MarketFileError, MarketWarning, UnknownSymbol
from pseudofeed.market.clock import Clock
from pseudofeed.market.drawing import draw_instruments
from pseudofeed.market.exchange import ALWAYS_OPEN
from pseudofeed.market.file import MOST_PATHS, NOW
from pseudofeed.market.mistakes import read_market_file
from pseudofeed.market.parameters import FactorParameters, InstrumentParameters, SimulationParameters
from pseudofeed.market.sample import sample_tables
from pseudofeed.market.settle import clock_of, load_notes, resolve
from pseudofeed.market.specification import Specification, differences, fingerprint_of, missing_keys, specification_of
from pseudofeed.random._random import default_floating_point, path_key
from pseudofeed.times import EXAMPLE_TIME, format_time, parse_step
from pseudofeed.toml_file import parse_toml, read_toml

if TYPE_CHECKING:
    from pseudofeed.simulate.paths import Paths, TickBlock
    from pseudofeed.simulate.state import MarketState

__all__ = ["Market"]


class Market:
    """Create one with `load`, `loads`, `sample` or `from_specification`. Two with the same fingerprint are equal.

    A market is *settled* when its start is a time and its exchange's calendar has a timetable. Until then it has
    neither clock nor fingerprint: see `with_start` and `settled`.
    """

    __slots__ = (
        *("_clock", "_factors", "_fingerprint", "_frozen", "_instruments", "_names_seed", "_numbers"),
        *("_specification", "_symbols"),
    )

    _clock: Clock | None
    _factors: FactorParameters
    _fingerprint: int | None
    _frozen: bool  # the timetable came with the file
    _instruments: InstrumentParameters
    _names_seed: bool
    _numbers: dict[str, int] | None
    _specification: Specification
    _symbols: tuple[str, ...]

    @classmethod
    @default_floating_point
    def load(cls, path: str | os.PathLike[str], *, settle: bool = True) -> Market:
        """The market of a TOML file.

        With an exchange's calendar, exchange_calendars is queried now for its timetable, unless the file has one.
        settle: False defers that query and its errors to `settled`, so that a market that has a timetable elsewhere
        needs no library. Raises MarketFileError with all the file's mistakes, LibraryError if the library is needed and
        not installed. Warns (MarketWarning) of what is valid, but probably a mistake.
        """
        file = str(Path(path))
        return cls._read(read_toml(Path(path), MarketFileError), file=file, ask_library=True, settle=settle)

    @classmethod
    @default_floating_point
    def loads(cls, text: str, *, file: str = "<string>") -> Market:
        """The market of a TOML text; `file` is its name in errors. Raises as `load` does."""
        return cls._read(parse_toml(text, file=file, error=MarketFileError), file=file, ask_library=True)

    @classmethod
    @default_floating_point
    def sample(
        cls,
        *,
        instruments: int = 100,
        factors: int = 3,
        seed: int = 7,
        name: str = "sample",
        step: str = "1s",
        start: str | datetime = EXAMPLE_TIME,
    ) -> Market:
        """A market with sensible annual values: shares move about 2 % a day. `start` may be "now".

        Raises MarketFileError if an argument is not what the market file allows for its key. Warns as `load` does.
        """
        tables = sample_tables(instruments=instruments, factors=factors, seed=seed, name=name, step=step, start=start)
        return cls._read(tables, file="Market.sample", ask_library=True)

    @classmethod
    @default_floating_point
    def from_specification(cls, specification: Mapping[str, object]) -> Market:
        """The market with this specification. No default is filled in, and no library is queried. Raises
        MarketFileError if the specification is invalid or not complete."""
        market = cls._read(specification, file="specification", ask_library=False)
        missing = missing_keys(specification, market._specification)
        if missing:
            raise MarketFileError(f"specification: it is not complete: {', '.join(missing)} is missing")
        return market

    @classmethod
    def _read(cls, tables: Mapping[str, object], *, file: str, ask_library: bool, settle: bool = True) -> Market:
        ask_library = ask_library and settle
        specification = specification_of(read_market_file(tables, file=file, check_calendar=ask_library))
        symbols, instruments = draw_instruments(specification, file)
        own: Any = tables["market"]
        frozen = specification["clock"]["timetable"] is not None
        try:
            market = cls._of(specification, symbols, instruments, frozen=frozen, names_seed="seed" in own)
            if ask_library:
                # A start of "now" is settled later, but errors of the calendar are raised now.
                settled = market.with_start(time.time_ns()) if market.start_is_now else market.settled()
                market = market if market.start_is_now else settled
                for note in load_notes(settled):
                    warnings.warn(MarketWarning(f"{file}: {note}"), stacklevel=3)
        except MarketFileError as problem:
            raise MarketFileError(f"{file}: {problem}") from None
        return market

    @classmethod
    def _of(
        cls,
        specification: Specification,
        symbols: tuple[str, ...],
        instruments: InstrumentParameters,
        *,
        frozen: bool,
        names_seed: bool,
    ) -> Market:
        market = cls.__new__(cls)
        factors: Any = specification["factors"]
        clock = clock_of(specification)
        values = {
            "_specification": specification,
            "_symbols": symbols,
            "_numbers": None,
            "_instruments": instruments,
            "_frozen": frozen,
            "_names_seed": names_seed,
            "_clock": clock,
            "_fingerprint": None if clock is None else fingerprint_of(specification),
            "_factors": FactorParameters.of(factors),
        }
        for name, value in values.items():
            object.__setattr__(market, name, value)
        return market

    def _with(self, table: str, **values: object) -> Market:
        """The same market with other values in one table, one that no parameter is drawn from."""
        specification = {**self._specification, table: {**self._specification[table], **values}}
        return self._of(
            specification, self._symbols, self._instruments, frozen=self._frozen, names_seed=self._names_seed
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Market is immutable: cannot set {name}")

    @property
    def name(self) -> str:
        return str(self._specification["market"]["name"])

    @property
    def seed(self) -> int:
        """The key of the drawn parameters, and of path 0's random numbers: 0 to 2^64 - 1."""
        return int(str(self._specification["market"]["seed"]))

    @property
    def path(self) -> int:
        """The number of the path: one market's paths have the same parameters and other shocks."""
        return int(str(self._specification["simulation"]["path"]))

    @property
    def key(self) -> int:
        """The key of the simulation's random numbers, 0 to 2^64 - 1: that of the market's path."""
        return path_key(self.seed, self.path)

    @property
    def names_seed(self) -> bool:
        """Whether the file sets the seed; otherwise it is 0, as in every other file without one."""
        return self._names_seed

    @property
    def specification(self) -> Specification:
        """A copy of the specification, as JSON-able values: every default is filled in, distributions are not drawn."""
        return copy.deepcopy(self._specification)

    @property
    def fingerprint(self) -> int:
        """64 bits of a hash of the specification: the same for the same ticks. Raises as `clock` does."""
        if self._fingerprint is None:
            raise self._unsettled()
        return self._fingerprint

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments' names; an instrument's number is its place here."""
        return self._symbols

    @property
    def instruments(self) -> InstrumentParameters:
        return self._instruments

    @property
    def factors(self) -> FactorParameters:
        return self._factors

    @property
    def simulation(self) -> SimulationParameters:
        table: Any = self._specification["simulation"]
        return SimulationParameters(table["scheme"], table["substeps"])

    @property
    def step_ns(self) -> int:
        """The step, ns; known before the market is settled."""
        return parse_step(str(self._specification["clock"]["step"]))

    @property
    def start_is_now(self) -> bool:
        """Whether the start is still "now", to be settled by `with_start`."""
        return self._specification["clock"]["start"] == NOW

    @property
    def is_frozen(self) -> bool:
        """Whether the timetable came with the file, or with the specification."""
        return self._frozen

    @property
    def is_settled(self) -> bool:
        """Whether the market has a clock and a fingerprint."""
        return self._clock is not None

    @property
    def clock(self) -> Clock:
        """The clock. Raises MarketFileError while the market is not settled."""
        if self._clock is None:
            raise self._unsettled()
        return self._clock

    @property
    def last_step(self) -> int | None:
        """The last step, where the market has an end (`clock.end`); None: it has none. Raises as `clock` does."""
        return self.clock.last_step

    def _unsettled(self) -> MarketFileError:
        if self.start_is_now:
            return MarketFileError(
                f'market {self.name}: clock.start is "now", which is settled when the market is first fed; to '
                f"simulate it before, set a time such as {EXAMPLE_TIME}, or call with_start(ns)"
            )
        return MarketFileError(f"market {self.name}: its timetable is not resolved yet: call settled()")

    def with_start(self, start_ns: int) -> Market:
        """The same market from `start_ns` (ns since 1970, UTC) on, settled.

        The start is rounded down to whole microseconds if the step is a whole number of them, because the store needs
        that. An exchange's calendar is resolved from there on, unless the file has a timetable. Raises as `settled`.
        """
        whole_ns = int(start_ns) - int(start_ns) % 1000 if self.step_ns % 1000 == 0 else int(start_ns)
        timetable = self._specification["clock"]["timetable"] if self._frozen else None
        return self._with("clock", start=format_time(whole_ns), timetable=timetable).settled()

    def settled(self) -> Market:
        """The same market with its timetable; if it has none yet, exchange_calendars is queried for it.

        Raises LibraryError if that is not installed, MarketFileError if it can't create the calendar, or if the start
        is still "now".
        """
        if self.start_is_now:
            raise self._unsettled()
        if self._clock is not None:
            return self
        return self._with("clock", timetable=resolve(self._specification).to_table())

    def continuing(self, registered: Mapping[str, Mapping[str, object]]) -> Market:
        """This market with the settled values of the registered specification of its name: its start, if this one's is
        "now", and its timetable, if the file has none. So whether it is the same market does not depend on a
        library."""
        clock, known = self._specification["clock"], registered["clock"]
        start = known["start"] if self.start_is_now else clock["start"]
        timetable = known["timetable"] if not self._frozen and clock["calendar"] != ALWAYS_OPEN else clock["timetable"]
        return self._with("clock", start=start, timetable=timetable)

    def with_path(self, path: int) -> Market:
        """Path `path` of the same market, 0 to 2^32 - 1: the same parameters, independent shocks. To be fed, it needs a
        name of its own. Raises ValueError."""
        if isinstance(path, bool) or not isinstance(path, int | np.integer) or not 0 <= path <= MOST_PATHS:
            raise ValueError(f"path: found {path!r}, must be a whole number from 0 to {MOST_PATHS}")
        return self._with("simulation", path=int(path))

    def number_of(self, symbol: str) -> int:
        """The instrument's number. Raises UnknownSymbol, which suggests similar symbols."""
        numbers = self._numbers
        if numbers is None:
            numbers = {known: number for number, known in enumerate(self._symbols)}
            object.__setattr__(self, "_numbers", numbers)
        if symbol in numbers:
            return numbers[symbol]
        close = difflib.get_close_matches(symbol.upper(), self._symbols, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(self._symbols[:5])}"
        more = ", ..." if not close and len(self._symbols) > 5 else ""
        raise UnknownSymbol(f'market {self.name} has no instrument "{symbol}"; {hint}{more}')

    def changes(self, registered: Mapping[str, Mapping[str, object]], fingerprint: int) -> list[str]:
        """Why this is not the registered market of its name, as lines of `difference`; empty if it is the same."""
        market = self.continuing(registered)
        if market.is_settled and market.fingerprint == fingerprint:
            return []
        return market.difference(registered) or ["the specification"]

    def difference(self, other_specification: Mapping[str, object]) -> list[str]:
        """The differences between the other (older) specification and this one, as lines
        "factors.volatilities[1]: 0.08 -> 0.09", other -> this; empty if there are none."""
        return differences(other_specification, self._specification)

    def stream(
        self,
        *,
        start_step: int = 1,
        steps: int | None = None,
        block_steps: int | None = None,
        instruments: ArrayLike | None = None,
        state: MarketState | None = None,
        threads: int | None = None,
        path: int | None = None,
    ) -> Iterator[TickBlock]:
        """The ticks from `start_step` on, block after block of `block_steps`; to the market's end, or without end, if
        `steps` is None.

        instruments: ascending numbers of those to simulate (the blocks' columns); all by default. state: a block's
        `state` from before `start_step`, to continue from instead of the start. threads: the most threads that work on
        a block; None: one for each core that the process may use, if the block is large enough. The bits of the ticks
        depend neither on the blocks nor on the threads. path: as in `with_path`; None: the market's own. Memory is
        bounded by the block. Raises ValueError naming the argument, MarketFileError while the market is not settled,
        SimulationError if a price or a time leaves its range, or a step lies beyond the market's end.
        """
        from pseudofeed.simulate.stream import stream

        return stream(
            self if path is None else self.with_path(path),
            start_step=start_step,
            steps=steps,
            block_steps=block_steps,
            instruments=instruments,
            state=state,
            threads=threads,
        )

    def simulate(self, steps: int | None = None, *, threads: int | None = None, path: int | None = None) -> Paths:
        """The start and the steps 1 to `steps` of every instrument and factor, in memory; None: to the market's end.
        threads, path and errors as in `stream`; raises ValueError for None if the market has no end."""
        from pseudofeed.simulate.stream import simulate

        return simulate(self if path is None else self.with_path(path), steps, threads=threads)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Market) or self._fingerprint != other._fingerprint:
            return False
        return self._fingerprint is not None or self._specification == other._specification

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __repr__(self) -> str:
        fingerprint = "not settled" if self._fingerprint is None else f"fingerprint={self._fingerprint:#018x}"
        return (
            f"Market(name={self.name!r}, instruments={len(self._symbols)}, factors={len(self.factors.names)}, "
            f"{fingerprint})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.specification, self._frozen, self._names_seed)


def _again(specification: Specification, frozen: bool, names_seed: bool) -> Market:
    """The market that was pickled, including what its file stated."""
    market = Market.from_specification(specification)
    object.__setattr__(market, "_frozen", frozen)
    object.__setattr__(market, "_names_seed", names_seed)
    return market
