"""A market: what is simulated, complete and immutable.

Everything else in the package takes a Market or its specification (specification.py), and two markets with the same
fingerprint have the same ticks. Parameters are drawn when it is made; nothing is simulated then.
"""

from __future__ import annotations

import difflib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pseudofeed.errors import MarketFileError, UnknownSymbol
from pseudofeed.market.clock import ALWAYS_OPEN, Clock
from pseudofeed.market.file import MOST_FACTORS, NOW
from pseudofeed.market.mistakes import market_file_error, read_market_file
from pseudofeed.market.parameters import LOADING, PARAMETERS, Parameter, draw
from pseudofeed.market.sample import drawn_symbols, sample_tables
from pseudofeed.market.specification import Specification, differences, fingerprint_of, specification_of
from pseudofeed.random._random import default_floating_point
from pseudofeed.times import EXAMPLE_TIME, format_step, format_time, parse_step, parse_time
from pseudofeed.toml_file import parse_toml, read_toml

if TYPE_CHECKING:
    from pseudofeed.simulate.paths import MarketState, Paths, TickBlock

__all__ = ["FactorParameters", "InstrumentParameters", "Market", "SimulationParameters"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class InstrumentParameters:
    """The parameters of N instruments at K factors; C-contiguous, read-only float64 arrays in the market's order.

    Prices in currency, variances and rates per year, volatilities per square root of a year, rho a correlation.
    """

    initial_price: Floats
    initial_variance: Floats
    drift: Floats
    kappa: Floats
    theta: Floats
    xi: Floats
    rho: Floats
    idiosyncratic_volatility: Floats
    factor_loadings: Floats
    """(N, K); all others (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class FactorParameters:
    """K factors: volatilities (K,) per square root of a year, correlations (K, K), drifts (K,) per year; read-only."""

    names: tuple[str, ...]
    volatilities: Floats
    correlations: Floats
    drifts: Floats


@dataclass(frozen=True, slots=True)
class SimulationParameters:
    """scheme: "euler" or "qe"; each step is walked in `substeps` parts."""

    scheme: str
    substeps: int


class Market:
    """Made by `load`, `loads`, `sample` or `from_specification`; equal to another one with the same fingerprint."""

    __slots__ = ("_clock", "_factors", "_fingerprint", "_instruments", "_numbers", "_specification", "_symbols")

    _clock: Clock | None
    _factors: FactorParameters
    _fingerprint: int
    _instruments: InstrumentParameters
    _numbers: dict[str, int] | None
    _specification: Specification
    _symbols: tuple[str, ...]

    @classmethod
    @default_floating_point
    def load(cls, path: str | os.PathLike[str]) -> Market:
        """The market of a TOML file. Raises MarketFileError with all its mistakes; LibraryError if it has an
        exchange's calendar and exchange_calendars is not installed."""
        return cls._read(read_toml(Path(path), MarketFileError), file=str(Path(path)), check_calendar=True)

    @classmethod
    @default_floating_point
    def loads(cls, text: str, *, file: str = "<string>") -> Market:
        """The market of a TOML text; `file` is its name in errors. Raises as `load` does."""
        return cls._read(parse_toml(text, file=file, error=MarketFileError), file=file, check_calendar=True)

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

        Raises MarketFileError if an argument is not what the market file allows for its key.
        """
        if not 1 <= factors <= MOST_FACTORS:
            raise MarketFileError(f"Market.sample: factors: found {factors}; must be from 1 to {MOST_FACTORS}")
        tables = sample_tables(instruments=instruments, factors=factors, seed=seed, name=name, step=step, start=start)
        return cls._read(tables, file="Market.sample", check_calendar=False)

    @classmethod
    @default_floating_point
    def from_specification(cls, specification: Mapping[str, object]) -> Market:
        """The market again that has this specification. Raises MarketFileError if it is none."""
        return cls._read(specification, file="specification", check_calendar=False)

    @classmethod
    def _read(cls, tables: Mapping[str, object], *, file: str, check_calendar: bool) -> Market:
        specification = specification_of(read_market_file(tables, file=file, check_calendar=check_calendar))
        symbols, instruments = _draw_instruments(specification, file)
        market = cls._of(specification, symbols, instruments)
        if check_calendar and specification["clock"]["calendar"] != ALWAYS_OPEN:
            clock = market.with_start(time.time_ns()).clock if market.start_is_now else market.clock
            try:
                _ = clock.year_ns
            except MarketFileError as problem:
                raise MarketFileError(f"{file}: {problem}") from None
        return market

    @classmethod
    def _of(cls, specification: Specification, symbols: tuple[str, ...], instruments: InstrumentParameters) -> Market:
        market = cls.__new__(cls)
        factors: Any = specification["factors"]
        clock: Any = specification["clock"]
        start = None if clock["start"] == NOW else parse_time(clock["start"])
        values = {
            "_specification": specification,
            "_symbols": symbols,
            "_numbers": None,
            "_instruments": instruments,
            "_fingerprint": fingerprint_of(specification),
            "_clock": None
            if start is None
            else Clock(start, parse_step(clock["step"]), clock["calendar"], clock.get("overnight_variance", 0.0)),
            "_factors": FactorParameters(
                names=tuple(factors["names"]),
                volatilities=_read_only(factors["volatilities"]),
                correlations=_read_only(factors["correlations"]),
                drifts=_read_only(factors["drifts"]),
            ),
        }
        for name, value in values.items():
            object.__setattr__(market, name, value)
        return market

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Market is immutable: cannot set {name}")

    @property
    def name(self) -> str:
        return str(self._specification["market"]["name"])

    @property
    def seed(self) -> int:
        """The key of all random numbers, 0 to 2^64 - 1."""
        return int(str(self._specification["market"]["seed"]))

    @property
    def key(self) -> int:
        """The key of the simulation's random numbers, 0 to 2^64 - 1: that of the market's path."""
        return self.seed

    @property
    def specification(self) -> Specification:
        """A copy of the canonical specification, JSON-able: every default filled in, distributions not drawn."""
        copy: Specification = json.loads(json.dumps(self._specification))
        return copy

    @property
    def fingerprint(self) -> int:
        """64 bits of a hash of the specification: the same for the same ticks."""
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
    def start_is_now(self) -> bool:
        """Whether the start is still "now", to be settled by `with_start`."""
        return self._clock is None

    @property
    def clock(self) -> Clock:
        """The clock. Raises MarketFileError while the start is still "now"."""
        if self._clock is None:
            raise MarketFileError(
                f'market {self.name}: clock.start is "now", which is settled when the market is first fed; to '
                f"simulate it before, set a time such as {EXAMPLE_TIME}, or call with_start(ns)"
            )
        return self._clock

    def with_start(self, start_ns: int) -> Market:
        """The same market from `start_ns` (ns since the epoch, UTC) on.

        It is rounded down to whole microseconds if the step is a whole number of them, for the store's sake.
        """
        step_ns = parse_step(str(self._specification["clock"]["step"]))
        whole_ns = start_ns - start_ns % 1000 if step_ns % 1000 == 0 else start_ns
        clock = {**self._specification["clock"], "start": format_time(whole_ns)}
        return self._of({**self._specification, "clock": clock}, self._symbols, self._instruments)

    def number_of(self, symbol: str) -> int:
        """The instrument's number. Raises UnknownSymbol with the symbols close to it."""
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

    def difference(self, other_specification: Mapping[str, object]) -> list[str]:
        """What makes the other specification (the older one) another market than this:
        lines "factors.volatilities[1]: 0.08 -> 0.09", other -> this; none if they are the same."""
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
    ) -> Iterator[TickBlock]:
        """The ticks from `start_step` on, block after block of `block_steps`, without end if `steps` is None.

        instruments: ascending numbers of those to simulate (the blocks' columns); all by default. state: a block's
        `state`, from before `start_step`, to go on from instead of from the start. The ticks are the same bits however
        they are cut, and whatever `threads`: at most so many work on a block; None: one for each core that the process
        may use, as far as a block's work is worth it. Memory is bounded by the block. Raises ValueError naming the
        argument, MarketFileError while the start is "now", SimulationError where a price or a time leaves its range.
        """
        from pseudofeed.simulate.stream import stream

        return stream(
            self,
            start_step=start_step,
            steps=steps,
            block_steps=block_steps,
            instruments=instruments,
            state=state,
            threads=threads,
        )

    def simulate(self, steps: int, *, threads: int | None = None) -> Paths:
        """The start and the steps 1 to `steps` of every instrument and factor, in memory; threads and errors as in
        `stream`."""
        from pseudofeed.simulate.stream import simulate

        return simulate(self, steps, threads=threads)

    def store_problem(self) -> str | None:
        """Why PostgreSQL, whose times are whole microseconds, can't hold this market's ticks; None if it can."""
        step_ns = parse_step(str(self._specification["clock"]["step"]))
        where = f"market {self.name}: clock."
        limit = "which is PostgreSQL's limit, so it can be fed and cached but not stored"
        if step_ns % 1000:
            return f"{where}step {format_step(step_ns)} is not a whole number of microseconds, {limit}"
        if self._clock is not None and self._clock.start_ns % 1000:
            return f"{where}start {format_time(self._clock.start_ns)} is not at a whole microsecond, {limit}"
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Market) and self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __repr__(self) -> str:
        return (
            f"Market(name={self.name!r}, instruments={len(self._symbols)}, factors={len(self.factors.names)}, "
            f"fingerprint={self.fingerprint:#018x})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return Market.from_specification, (self.specification,)


def _read_only(values: object) -> Floats:
    array = np.ascontiguousarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _draw_instruments(specification: Specification, file: str) -> tuple[tuple[str, ...], InstrumentParameters]:
    """Symbols and parameters. Raises MarketFileError naming each draw that left its parameter's range."""
    table: Any = specification["instruments"]
    rows, defaults, seed = table["list"], table["defaults"], int(str(specification["market"]["seed"]))
    listed = [row["symbol"] for row in rows]
    symbols = (*listed, *drawn_symbols(table["count"], set(listed)))
    mistakes: list[str] = []

    def drawn(parameter: Parameter, loading: int | None = None) -> Floats:
        def pick(value: Any) -> Any:
            return value if loading is None else value[loading]

        name = parameter.name
        own = {number: pick(row[name]) for number, row in enumerate(rows) if name in row}
        result = draw(parameter, pick(defaults[name]), own, seed=seed, instruments=len(symbols), loading=loading)
        if result.outside.size:
            number = int(result.outside[0])
            key = f"instruments.list[{number}].{name}" if number in own else f"instruments.defaults.{name}"
            more = f" (and for {result.outside.size - 1} more)" if result.outside.size > 1 else ""
            mistakes.append(
                f"{key}{'' if loading is None else f'[{loading}]'}: drawn {float(result.values[number])!r} for "
                f"instrument {symbols[number]}{more}; must be {parameter.allowed}: give the distribution low and high"
            )
        return result.values

    values = {parameter.name: drawn(parameter) for parameter in PARAMETERS}
    loadings = [drawn(LOADING, k) for k in range(len(defaults["factor_loadings"]))]
    if mistakes:
        raise market_file_error(file, mistakes)
    values["factor_loadings"] = np.stack(loadings, axis=1)
    return symbols, InstrumentParameters(**{name: _read_only(array) for name, array in values.items()})
