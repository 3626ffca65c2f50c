"""The parameters of an instrument, each declared once: range, built-in distribution, and how it is drawn.

The market file's models, the arrays, the native rows and the store's columns are derived from PARAMETERS.

A parameter of an instrument is a number or a distribution (a table of the canonical specification). A draw is a pure
function of (seed, instrument number, parameter number), so an instrument's parameters depend neither on those of
others, nor on the order of a file. The numbers are in csrc/random/counters.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pseudofeed.random import _random

__all__ = [
    "DRIFTS",
    "LOADING",
    "PARAMETERS",
    "Drawn",
    "FactorParameters",
    "InstrumentParameters",
    "Parameter",
    "SimulationParameters",
    "Value",
    "default_loadings",
    "draw",
]

DRIFTS = ("total", "alpha")
"""What `drift` means: an instrument's whole drift, or its drift without that of the factors."""

Floats = NDArray[np.float64]
Value = float | Mapping[str, object]
"""A number, or a table with the key `distribution`."""

_KINDS = {"normal": ("mean", "deviation"), "lognormal": ("median", "deviation"), "uniform": ("low", "high")}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's allowed range, from lowest to highest, both included."""

    name: str
    unit: str
    lowest: float
    highest: float
    default: Value

    def allows(self, value: float) -> bool:
        return self.lowest <= value <= self.highest

    @property
    def allowed(self) -> str:
        return f"a number from {self.lowest:g} to {self.highest:g}"


def _uniform(low: float, high: float) -> Value:
    return {"distribution": "uniform", "low": low, "high": high}


# Annual values of middling shares. With the sample's factors a share's volatility is 30 to 45 % a year, some 2 % a day.
# Most draws satisfy Feller's condition 2 kappa theta >= xi^2.
PARAMETERS = (
    Parameter(
        "initial_price",
        "currency",
        1e-9,
        1e12,
        {"distribution": "lognormal", "median": 60.0, "deviation": 0.6, "low": 5.0, "high": 1000.0},
    ),
    Parameter("initial_variance", "per year", 0.0, 1e4, _uniform(0.04, 0.1225)),
    Parameter("drift", "per year", -100.0, 100.0, _uniform(0.0, 0.1)),
    Parameter("kappa", "per year", 0.0, 1e6, _uniform(2.0, 6.0)),
    Parameter("theta", "per year", 0.0, 1e4, _uniform(0.04, 0.1225)),
    Parameter("xi", "per year", 0.0, 1e4, _uniform(0.2, 0.5)),
    Parameter("rho", "a correlation", -1.0, 1.0, _uniform(-0.8, -0.3)),
    Parameter("idiosyncratic_volatility", "per square root of a year", 0.0, 100.0, _uniform(0.1, 0.25)),
)
LOADING = Parameter("factor_loadings", "price return per factor return", -1e3, 1e3, 0.0)


def default_loadings(factors: int) -> list[Value]:
    """About 1 on the first factor, the market's, and about 0 on the others."""
    first: Value = {"distribution": "normal", "mean": 1.0, "deviation": 0.25, "low": 0.2, "high": 2.0}
    other: Value = {"distribution": "normal", "mean": 0.0, "deviation": 0.35, "low": -1.5, "high": 1.5}
    return [first, *[other] * (factors - 1)]


class InstrumentParameters:
    """The parameters of N instruments at K factors: an attribute for each of PARAMETERS, (N,), and `factor_loadings`,
    (N, K); C-contiguous, read-only float64 arrays in the market's order.

    Prices in currency, variances and rates per year, volatilities per square root of a year, rho a correlation. `drift`
    is always the total one: with `drift = "alpha"` the factors' premia are in it.
    """

    __slots__ = ("_arrays",)

    def __init__(self, **arrays: ArrayLike) -> None:
        names = [parameter.name for parameter in (*PARAMETERS, LOADING)]
        assert sorted(arrays) == sorted(names)
        self._arrays = {name: _read_only(arrays[name]) for name in names}

    @property
    def arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """The arrays by name, in the order of PARAMETERS."""
        return MappingProxyType(self._arrays)

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        if name in self.__slots__:  # not initialised yet
            raise AttributeError(name)
        try:
            return self._arrays[name]
        except KeyError:
            raise AttributeError(f"an instrument has no parameter {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self._arrays]


@dataclass(frozen=True, slots=True, eq=False)
class FactorParameters:
    """K factors: volatilities (K,) per square root of a year, correlations (K, K), drifts (K,) per year; read-only."""

    names: tuple[str, ...]
    volatilities: Floats
    correlations: Floats
    drifts: Floats

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> FactorParameters:
        """Those of a specification's table."""
        arrays = {name: _read_only(table[name]) for name in ("volatilities", "correlations", "drifts")}
        return cls(names=tuple(table["names"]), **arrays)


@dataclass(frozen=True, slots=True)
class SimulationParameters:
    """scheme: "euler" or "qe". substeps: how many substeps each step is divided into."""

    scheme: str
    substeps: int


def _read_only(values: ArrayLike) -> NDArray[np.float64]:
    array = np.ascontiguousarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class Drawn:
    """values: (N,) float64. outside: the numbers of the instruments whose value is not allowed."""

    values: NDArray[np.float64]
    outside: NDArray[np.intp]


@_random.default_floating_point
def draw(
    parameter: Parameter, default: Value, own: Mapping[int, Value], *, seed: int, instruments: int, loading: int | None
) -> Drawn:
    """One parameter of every instrument: `own` of those that give it, `default` of the others, drawn if need be.

    loading: the factor's number if the parameter is a factor loading.
    """
    number = _random.PARAMETER_NUMBERS[parameter.name] if loading is None else _random.FIRST_LOADING_NUMBER + loading
    kinds = np.empty(instruments, dtype=object)
    table = np.empty((4, instruments))  # the kind's two arguments, low, high
    kinds[:], table[:] = _arguments(default)[0], np.reshape(_arguments(default)[1], (4, 1))
    for instrument, value in own.items():
        kinds[instrument], table[:, instrument] = _arguments(value)
    values = table[0].copy()
    for kind in _KINDS:
        ids = np.flatnonzero(kinds == kind)
        if not ids.size:
            continue
        first, second, low, high = table[:, ids]
        words = ids.astype(np.uint32)
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number any more is not allowed, or clamped
            if kind == "uniform":
                drawn = first + (second - first) * _random.uniforms(seed, words, number, _random.PARAMETER_PURPOSE)[0]
            else:
                normals = _random.standard_normals(seed, words, number, _random.PARAMETER_PURPOSE)[0]
                drawn = first + second * normals if kind == "normal" else first * _random.exp(second * normals)
        values[ids] = np.minimum(np.maximum(drawn, low), high)
    allowed = (values >= parameter.lowest) & (values <= parameter.highest)
    return Drawn(values=values, outside=np.flatnonzero(~allowed))


def _arguments(value: Value) -> tuple[str, tuple[float, float, float, float]]:
    if not isinstance(value, Mapping):
        return "", (value, 0.0, -inf, inf)
    kind = str(value["distribution"])
    arguments = {name: float(number) for name, number in value.items() if isinstance(number, float)}
    first, second = _KINDS[kind]
    return kind, (arguments[first], arguments[second], arguments.get("low", -inf), arguments.get("high", inf))
