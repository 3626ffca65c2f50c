"""The canonical specification: one text for one market, however its file was written.

Every default is filled in, distributions stay distributions, times are UTC, steps stand in their largest unit, numbers
that may have a fraction are floats, and an instrument of the list keeps only what differs from the defaults. So the
fingerprint does not depend on the order of keys, on 1 or 1.0, or on whether a default was written out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel

from pseudofeed.market.clock import ALWAYS_OPEN
from pseudofeed.market.file import ClockTable, Factors, Instruments, MarketFile, Parameters
from pseudofeed.market.parameters import PARAMETERS, Value, default_loadings

__all__ = ["Specification", "canonical_json", "differences", "fingerprint_of", "specification_of"]

Specification = dict[str, dict[str, object]]
"""A market file's tables, complete; JSON-able."""

_MODEL = 1  # the law and the arithmetic: another number when the same specification would give other ticks
_FINGERPRINT_BYTES = 8


def specification_of(file: MarketFile) -> Specification:
    return {
        "market": {"name": file.market.name, "seed": file.market.seed},
        "clock": _clock(file.clock),
        "simulation": {"scheme": file.simulation.scheme, "substeps": file.simulation.substeps},
        "factors": _factors(file.factors),
        "instruments": _instruments(file.instruments, len(file.factors.names)),
    }


def canonical_json(specification: Specification) -> str:
    """JSON with sorted keys and no spaces, ASCII only; floats as the shortest text that reads back the same."""
    return json.dumps(specification, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint_of(specification: Specification) -> int:
    """The first 8 bytes, big-endian, of the SHA-256 of the canonical JSON of {"model": 1, **specification}."""
    text = canonical_json({"model": _MODEL, **specification})  # type: ignore[dict-item]  # the model is a number
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:_FINGERPRINT_BYTES], "big")


def differences(old: object, new: object, key: str = "") -> list[str]:
    """Lines "factors.volatilities[1]: 0.08 -> 0.09" for every value that is not the same in both."""
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
    table: dict[str, object] = {"start": clock.start, "step": clock.step, "calendar": clock.calendar}
    if clock.calendar != ALWAYS_OPEN:  # only an exchange has nights
        table["overnight_variance"] = _float(clock.overnight_variance)
    return table


def _factors(factors: Factors) -> dict[str, object]:
    count = len(factors.names)
    correlations = factors.correlations
    if correlations is None:
        correlations = [[float(i == j) for j in range(count)] for i in range(count)]
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
    loadings = parameters.factor_loadings
    if isinstance(loadings, list):
        given["factor_loadings"] = [_value(loading) for loading in loadings]
    elif loadings is not None:
        given["factor_loadings"] = [_value(loadings)] * factors
    return given


def _instruments(instruments: Instruments, factors: int) -> dict[str, object]:
    defaults: dict[str, object] = {parameter.name: parameter.default for parameter in PARAMETERS}
    defaults["factor_loadings"] = default_loadings(factors)
    defaults |= _given(instruments.defaults, factors)
    rows = []
    for instrument in instruments.list:
        own = _given(instrument, factors)
        differing = {name: value for name, value in own.items() if value != defaults[name]}
        rows.append({"symbol": instrument.symbol, **differing})
    return {"count": instruments.count, "defaults": defaults, "list": rows}
