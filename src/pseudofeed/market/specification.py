"""The specification: one canonical form of a market, however its file was written; and the fingerprint, a hash of it.

A specification is complete. Every default is filled in, distributions are not drawn, times are UTC, steps are in their
largest unit, numbers that may have a fraction are floats, an instrument of the list has only values that differ from
the defaults, and an exchange's calendar has its timetable. Reading it fills in nothing, so it means the same to every
version that can read it.

The hash is not that of the specification itself, but that of its *hashed form*, a list of entries. An entry without
effect is omitted as a whole. So if a later version adds a feature as an entry with a neutral value, markets that do not
use it keep their fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from pseudofeed.market.correlations import repaired
from pseudofeed.market.file import ClockTable, Factors, Instruments, MarketFile, Parameters
from pseudofeed.market.parameters import DRIFTS, LOADING, PARAMETERS, Value, default_loadings
from pseudofeed.market.timetable import Timetable
from pseudofeed.random._random import default_floating_point

__all__ = [
    "ENTRIES",
    "Entry",
    "Specification",
    "canonical_json",
    "differences",
    "fingerprint_of",
    "hashed_form",
    "missing_keys",
    "specification_of",
]

Specification = dict[str, dict[str, object]]
"""A market file's tables, complete; JSON-able."""

_MODEL = 2  # of the law and the arithmetic: increased when the same specification would give other ticks
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the hashed form. of: its value in a specification, JSON-able. neutral: the value without effect, or
    None if it always has one. An entry with its neutral value is omitted."""

    name: str
    of: Callable[[Specification], object]
    neutral: object = None


def _keys(table: str, *keys: str) -> Callable[[Specification], object]:
    return lambda specification: {key: specification[table][key] for key in keys}


def _timetable_hash(specification: Specification) -> str:
    table: Any = specification["clock"]["timetable"]
    return "" if table is None else Timetable.of_table(table).sha256


ENTRIES: tuple[Entry, ...] = (
    Entry("market", _keys("market", "name", "seed")),
    Entry("clock", _keys("clock", "start", "step", "calendar")),
    Entry("simulation", _keys("simulation", "scheme", "substeps")),
    Entry("factors", _keys("factors", "names", "volatilities", "correlations", "drifts")),
    Entry("instruments", _keys("instruments", "count", "defaults", "list")),
    Entry("end", _keys("clock", "end"), neutral={"end": None}),
    Entry("timetable", _timetable_hash, neutral=""),
    Entry("nights", _keys("clock", "overnight_variance"), neutral={"overnight_variance": 0.0}),
    Entry("path", _keys("simulation", "path"), neutral={"path": 0}),
    Entry("drift", _keys("instruments", "drift"), neutral={"drift": DRIFTS[0]}),
)


def hashed_form(specification: Specification) -> dict[str, object]:
    """{"model": 2, **entries}, without those that are neutral."""
    entries = {entry.name: (entry.of(specification), entry.neutral) for entry in ENTRIES}
    return {"model": _MODEL} | {name: value for name, (value, neutral) in entries.items() if value != neutral}


@default_floating_point  # the text of floats
def fingerprint_of(specification: Specification) -> int:
    """The first 8 bytes, big-endian, of the SHA-256 of the hashed form's canonical JSON."""
    text = canonical_json(hashed_form(specification))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:_FINGERPRINT_BYTES], "big")


def canonical_json(value: Mapping[str, object]) -> str:
    """JSON with sorted keys and no spaces, ASCII only; floats as the shortest text that reads back the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def specification_of(file: MarketFile) -> Specification:
    return {
        "market": {"name": file.market.name, "seed": file.market.seed},
        "clock": _clock(file.clock),
        "simulation": file.simulation.model_dump(),
        "factors": _factors(file.factors),
        "instruments": _instruments(file.instruments, len(file.factors.names)),
    }


def missing_keys(given: object, complete: object, key: str = "") -> list[str]:
    """The keys that a specification lacks, or has as null: those that reading it as a market file fills in."""
    if isinstance(complete, Mapping):
        own = given if isinstance(given, Mapping) else {}
        missing: list[str] = []
        for name, value in complete.items():
            inner = f"{key}.{name}" if key else name
            if name not in own or (own[name] is None and value is not None):
                missing += [inner] if key else [f"{inner}.{each}" for each in value]
            else:
                missing += missing_keys(own[name], value, inner)
        return missing
    if isinstance(complete, list) and isinstance(given, list):
        pairs = enumerate(zip(given, complete, strict=False))
        return [line for number, pair in pairs for line in missing_keys(*pair, f"{key}[{number}]")]
    return []


def differences(old: object, new: object, key: str = "") -> list[str]:
    """A line like "factors.volatilities[1]: 0.08 -> 0.09" for every value that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [*old, *(name for name in new if name not in old)]
        lines = []
        for name in names:
            inner = f"{key}.{name}" if key else str(name)
            if name not in old:
                lines.append(f"{inner}: (absent) -> {_short(new[name])}")
            elif name not in new:
                lines.append(f"{inner}: {_short(old[name])} -> (absent)")
            else:
                lines += differences(old[name], new[name], inner)
        return lines
    if isinstance(old, list) and isinstance(new, list):
        lines = []
        for number in range(max(len(old), len(new))):
            inner = f"{key}[{number}]"
            if number >= len(old):
                lines.append(f"{inner}: (absent) -> {_short(new[number])}")
            elif number >= len(new):
                lines.append(f"{inner}: {_short(old[number])} -> (absent)")
            else:
                lines += differences(old[number], new[number], inner)
        return lines
    return [] if old == new else [f"{key}: {_short(old)} -> {_short(new)}"]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _float(value: float) -> float:
    return float(value) + 0.0  # a negative zero becomes zero


def _value(value: object) -> Value:
    if isinstance(value, BaseModel):
        table = value.model_dump(exclude_none=True)
        return {key: _float(entry) if isinstance(entry, float) else entry for key, entry in table.items()}
    assert isinstance(value, float)
    return _float(value)


def _clock(clock: ClockTable) -> dict[str, object]:
    table: dict[str, object] = clock.model_dump()
    return table | {"overnight_variance": _float(clock.overnight_variance)}


def _factors(factors: Factors) -> dict[str, object]:
    count = len(factors.names)
    given = np.eye(count) if factors.correlations is None else np.array(factors.correlations, dtype=np.float64)
    correlations = repaired(given, unit_diagonal=True).tolist()
    return {
        "names": list(factors.names),
        "volatilities": [_float(value) for value in factors.volatilities],
        "correlations": [[_float(value) for value in row] for row in correlations],
        "drifts": [_float(value) for value in factors.drifts or [0.0] * count],
    }


def _given(parameters: Parameters, factors: int) -> dict[str, object]:
    """What the table gives, in canonical form; one value for all loadings is written out for each factor."""
    given: dict[str, object] = {}
    for parameter in PARAMETERS:
        value = getattr(parameters, parameter.name)
        if value is not None:
            given[parameter.name] = _value(value)
    loadings = getattr(parameters, LOADING.name)
    if isinstance(loadings, list):
        given[LOADING.name] = [_value(loading) for loading in loadings]
    elif loadings is not None:
        given[LOADING.name] = [_value(loadings)] * factors
    return given


def _instruments(instruments: Instruments, factors: int) -> dict[str, object]:
    defaults: dict[str, object] = {parameter.name: parameter.default for parameter in PARAMETERS}
    defaults[LOADING.name] = default_loadings(factors)
    defaults |= _given(instruments.defaults, factors)
    rows = []
    for instrument in instruments.list:
        own = _given(instrument, factors)
        differing = {name: value for name, value in own.items() if value != defaults[name]}
        rows.append({"symbol": instrument.symbol, **differing})
    return {"count": instruments.count, "drift": instruments.drift, "defaults": defaults, "list": rows}
