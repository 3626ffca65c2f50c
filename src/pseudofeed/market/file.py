"""The format of the market file: tables, keys, types and ranges, as pydantic models.

The models check each value alone. mistakes.py words the errors, and checks values against each other. market.py creates
the market. MUST_BE has a text for every key, from which messages are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, create_model, model_validator
from pydantic_core import PydanticCustomError

from pseudofeed.market.correlations import ROUNDING
from pseudofeed.market.exchange import ALWAYS_OPEN
from pseudofeed.market.parameters import DRIFTS, LOADING, PARAMETERS, Parameter
from pseudofeed.market.schemes import MOST_SUBSTEPS, SCHEMES
from pseudofeed.market.timetable import Timetable
from pseudofeed.times import EXAMPLE_STEP, EXAMPLE_TIME, format_step, format_time, parse_step, parse_time

__all__ = [
    "DISTRIBUTIONS",
    "MOST_FACTORS",
    "MOST_INSTRUMENTS",
    "MOST_PATHS",
    "MUST_BE",
    "NAME",
    "NOW",
    "TABLES",
    "MarketFile",
    "Table",
]

NOW = "now"
MOST_INSTRUMENTS = 1_000_000
MOST_FACTORS = 64
MOST_PATHS = 2**32 - 1

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""Of a market."""

_SYMBOL = re.compile(r"[A-Za-z0-9_^=+:&#@$!][A-Za-z0-9_^=+:&#@$!.-]{0,31}")
_EXAMPLE_DISTRIBUTION = '{ distribution = "uniform", low = 0.1, high = 0.3 }'


class Table(BaseModel):
    """A table of the file: no unknown keys, no guessing of types (an integer is a number, "1" is not)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _mistake(why: str) -> PydanticCustomError:
    """An error with our own text: "found X; WHY"."""
    return PydanticCustomError("mistake", "{why}", {"why": why})


def _matching(pattern: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise PydanticCustomError("pattern", "must match")
        return text

    return AfterValidator(check)


def _one_of(names: Container[str]) -> AfterValidator:
    def check(text: str) -> str:
        if text not in names:
            raise PydanticCustomError("choice", "must be one of them")
        return text

    return AfterValidator(check)


def _read_time(key: str, *, now: bool = False) -> AfterValidator:
    """A time in its canonical text, or "now"."""

    def read(value: object) -> str:
        if now and value == NOW:
            return NOW
        if not isinstance(value, str | datetime):
            raise PydanticCustomError("time", "must be a time")
        try:
            return format_time(parse_time(value))
        except ValueError as problem:
            raise _mistake(f"{problem}; must be {MUST_BE[key]}") from None

    return AfterValidator(read)


def _read_step(text: str) -> str:
    try:
        return format_step(parse_step(text))
    except ValueError as problem:
        raise _mistake(f"{problem}; must be {MUST_BE['clock.step']}") from None


# --- Numbers and distributions -----------------------------------------------------------------------------------

Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]


class _Clamped(Table):
    low: Finite | None = None
    high: Finite | None = None

    @model_validator(mode="after")
    def _ordered(self) -> _Clamped:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise _mistake(f"low is {self.low!r} and high is {self.high!r}; low must not be above high")
        return self


class Normal(_Clamped):
    distribution: Literal["normal"]
    mean: Finite
    deviation: NotNegative


class LogNormal(_Clamped):
    distribution: Literal["lognormal"]
    median: Positive
    deviation: NotNegative


class Uniform(_Clamped):
    distribution: Literal["uniform"]
    low: Finite
    high: Finite


DISTRIBUTIONS: dict[str, type[_Clamped]] = {"normal": Normal, "lognormal": LogNormal, "uniform": Uniform}


def _kind(value: object) -> str | None:
    """The tag that pydantic puts into an error's place; mistakes.py takes the angle brackets out again."""
    if isinstance(value, list):
        return "<list>"
    if isinstance(value, dict | _Clamped):
        kind = value.get("distribution") if isinstance(value, dict) else getattr(value, "distribution", None)
        return f"<{kind}>" if isinstance(kind, str) and kind in DISTRIBUTIONS else None
    return "<number>"


def _within(parameter: Parameter) -> Callable[[Any], Any]:
    """Numbers must be in the parameter's range. So must the numbers of a distribution that can be its results."""

    def check(value: Any) -> Any:
        if isinstance(value, float) and not parameter.allows(value):
            raise _mistake(f"must be {parameter.allowed}")
        if isinstance(value, _Clamped):
            for key in ("low", "high", "median"):
                number = getattr(value, key, None)
                if number is not None and not parameter.allows(number):
                    raise _mistake(f"its {key} is {number!r}; must be {parameter.allowed}")
        return value

    return check


_Distribution = (
    Annotated[Normal, Tag("<normal>")] | Annotated[LogNormal, Tag("<lognormal>")] | Annotated[Uniform, Tag("<uniform>")]
)
_Number = Annotated[Finite, Tag("<number>")]
_Value = Annotated[_Number | _Distribution, Discriminator(_kind)]
_Loading = Annotated[_Value, AfterValidator(_within(LOADING))]
_Loadings = Annotated[
    Annotated[list[_Loading], Tag("<list>")] | _Number | _Distribution,
    Discriminator(_kind),
    AfterValidator(_within(LOADING)),
]
# Any of an instrument's parameters; None: not given. The keys follow from their declaration (parameters.py).
_KEYS: dict[str, Any] = {
    **{p.name: (Annotated[_Value, AfterValidator(_within(p))] | None, None) for p in PARAMETERS},
    LOADING.name: (_Loadings | None, None),
}
if TYPE_CHECKING:

    class Parameters(Table): ...

    class ListedInstrument(Parameters):
        symbol: str

else:
    Parameters = create_model("Parameters", __base__=Table, **_KEYS)
    ListedInstrument = create_model(
        "ListedInstrument", __base__=Parameters, symbol=(Annotated[str, _matching(_SYMBOL)], ...)
    )


# --- The tables --------------------------------------------------------------------------------------------------

_Listed = list[ListedInstrument]  # named here: inside of the class `list` is the field


class Instruments(Table):
    count: Annotated[int, Field(ge=0, le=MOST_INSTRUMENTS)] = 0
    drift: Annotated[str, _one_of(DRIFTS)] = DRIFTS[0]
    defaults: Parameters = Parameters()
    list: _Listed = []


class Factors(Table):
    names: list[Annotated[str, _matching(re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}"))]]
    volatilities: list[Annotated[float, Field(allow_inf_nan=False, ge=0, le=100)]]
    correlations: list[list[Annotated[float, Field(allow_inf_nan=False, ge=-1 - ROUNDING, le=1 + ROUNDING)]]] | None = (
        None
    )
    drifts: list[Annotated[float, Field(allow_inf_nan=False, ge=-100, le=100)]] | None = None


class TimetableTable(Table):
    """See timetable.py."""

    regular_session: str
    until: Annotated[Any, _read_time("clock.timetable.until")]
    weekdays: str
    hours: list[str]
    days: list[str] = []
    source: str = ""

    @model_validator(mode="after")
    def _possible(self) -> TimetableTable:
        try:
            Timetable.of_table(self.model_dump())
        except ValueError as problem:
            raise _mistake(f"{problem}; see docs/market-file.md") from None
        return self


class ClockTable(Table):
    """start, end and step are kept in their canonical texts."""

    start: Annotated[Any, _read_time("clock.start", now=True)]
    end: Annotated[Any, _read_time("clock.end")] | None = None
    step: Annotated[str, AfterValidator(_read_step)] = EXAMPLE_STEP
    calendar: str = ALWAYS_OPEN
    overnight_variance: Annotated[float, Field(allow_inf_nan=False, ge=0, le=100)] = 0.0
    timetable: TimetableTable | None = None


class Simulation(Table):
    scheme: Annotated[str, _one_of(SCHEMES)] = next(iter(SCHEMES))
    substeps: Annotated[int, Field(ge=1, le=MOST_SUBSTEPS)] = 1
    path: Annotated[int, Field(ge=0, le=MOST_PATHS)] = 0


class MarketTable(Table):
    name: Annotated[str, _matching(NAME)]
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0


class MarketFile(Table):
    market: MarketTable
    clock: ClockTable
    simulation: Simulation = Simulation()
    factors: Factors
    instruments: Instruments


TABLES: dict[str, type[Table]] = {
    "": MarketFile,
    "market": MarketTable,
    "clock": ClockTable,
    "clock.timetable": TimetableTable,
    "simulation": Simulation,
    "factors": Factors,
    "instruments": Instruments,
    "instruments.defaults": Parameters,
    "instruments.list[]": ListedInstrument,
}

MUST_BE: dict[str, str] = {
    "market": "a table [market] with a name",
    "market.name": "1 to 64 of a-z, 0-9, _ and -, beginning with a letter",
    "market.seed": "a whole number from 0 to 2^64 - 1",
    "clock": "a table [clock] with a start",
    "clock.start": f'a time with its offset from UTC such as {EXAMPLE_TIME}, or "now"',
    "clock.end": f"a time after clock.start, such as {EXAMPLE_TIME}",
    "clock.step": f'a text such as "{EXAMPLE_STEP}", "100ms" or "5min"',
    "clock.calendar": '"24/7" or a calendar of exchange_calendars such as "XNYS"',
    "clock.overnight_variance": "a number from 0 to 100 (0.5: a night has the variance of half a session)",
    "clock.timetable": "a table [clock.timetable], as `pseudofeed market freeze` writes it",
    "clock.timetable.regular_session": 'a text such as "390min"',
    "clock.timetable.until": f"a time such as {EXAMPLE_TIME}",
    "clock.timetable.weekdays": 'a text such as "Mon Tue Wed Thu Fri"',
    "clock.timetable.hours": 'a list of texts such as "2026-03-02 14:30/21:00"',
    "clock.timetable.hours[]": 'a text such as "2026-03-02 14:30/21:00"',
    "clock.timetable.days": 'a list of texts such as "2026-04-03 closed"',
    "clock.timetable.days[]": 'a text such as "2026-04-03 closed" or "2026-11-27 14:30/18:00"',
    "clock.timetable.source": "a text",
    "simulation": "a table [simulation]",
    "simulation.scheme": " or ".join(f'"{name}"' for name in SCHEMES),
    "simulation.path": "a whole number from 0 to 2^32 - 1",
    "simulation.substeps": f"a whole number from 1 to {MOST_SUBSTEPS}",
    "factors": "a table [factors] with names and volatilities",
    "factors.names": "a list of texts, one for each factor",
    "factors.names[]": "1 to 32 of letters, digits, _ and -, beginning with a letter",
    "factors.volatilities": "a list of numbers, one for each factor",
    "factors.volatilities[]": "a number from 0 to 100 (0.16 is 16 % a year)",
    "factors.correlations": "a list of rows, one for each factor, such as [[1.0, 0.3], [0.3, 1.0]]",
    "factors.correlations[]": "a row: a list of numbers, one for each factor",
    "factors.correlations[][]": "a number from -1 to 1",
    "factors.drifts": "a list of numbers, one for each factor",
    "factors.drifts[]": "a number from -100 to 100 (0.05 is 5 % a year)",
    "instruments": "a table [instruments] with a count, or a list, or both",
    "instruments.count": f"a whole number from 0 to {MOST_INSTRUMENTS}",
    "instruments.drift": " or ".join(f'"{name}"' for name in DRIFTS),
    "instruments.defaults": "a table [instruments.defaults] of parameters",
    "instruments.list": "a list of tables [[instruments.list]]",
    "instruments.list[]": "a table [[instruments.list]] with a symbol",
    "instruments.list[].symbol": "1 to 32 of letters, digits and _ ^ = + : & # @ $ ! . - (not . or - at the beginning)",
    "distribution.mean": "a number",
    "distribution.median": "a number above 0",
    "distribution.deviation": "a number, 0 or more",
    "distribution.low": "a number",
    "distribution.high": "a number",
}
for _place in ("instruments.defaults", "instruments.list[]"):
    for _parameter in PARAMETERS:
        MUST_BE[f"{_place}.{_parameter.name}"] = f"{_parameter.allowed}, or a distribution like {_EXAMPLE_DISTRIBUTION}"
    _one = f"{LOADING.allowed}, or a distribution like {_EXAMPLE_DISTRIBUTION}"
    MUST_BE[f"{_place}.factor_loadings[]"] = _one
    MUST_BE[f"{_place}.factor_loadings"] = f"{_one}, or a list of these, one for each factor"
