"""Writes a specification as a complete market file with its timetable, so that the file alone gives the same ticks
everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudofeed.market.specification import Specification
from pseudofeed.toml_file import toml_string

__all__ = ["market_file_text"]

_ORDER = ("distribution", "mean", "median", "deviation", "low", "high")  # of a distribution's keys


def market_file_text(specification: Specification) -> str:
    """The specification as TOML. Reading it gives the same specification, so the same fingerprint."""
    instruments: Any = specification["instruments"]
    clock: Any = specification["clock"]
    lines: list[str] = []
    _table(lines, "market", specification["market"])
    _table(lines, "clock", {key: value for key, value in clock.items() if key != "timetable"})
    if clock["timetable"] is not None:
        _table(lines, "clock.timetable", clock["timetable"])
    _table(lines, "simulation", specification["simulation"])
    _table(lines, "factors", specification["factors"])
    _table(lines, "instruments", {key: instruments[key] for key in ("count", "drift")})
    _table(lines, "instruments.defaults", instruments["defaults"])
    for row in instruments["list"]:
        _table(lines, "instruments.list", row, array=True)
    return "\n".join(lines[1:]) + "\n"


def _table(lines: list[str], name: str, values: Mapping[str, object], *, array: bool = False) -> None:
    lines += ["", f"[[{name}]]" if array else f"[{name}]"]
    lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return toml_string(value)
        case int() | float():
            return repr(value)
        case list():
            long = len(value) > 4 and not isinstance(value[0], int | float)
            inner = [_value(entry) for entry in value]
            return "[\n" + "".join(f"    {text},\n" for text in inner) + "]" if long else f"[{', '.join(inner)}]"
        case Mapping():
            entries = sorted(value.items(), key=lambda item: _ORDER.index(item[0]))
            return f"{{ {', '.join(f'{key} = {_value(entry)}' for key, entry in entries)} }}"
    raise TypeError(f"{type(value).__name__} has no form in TOML")
