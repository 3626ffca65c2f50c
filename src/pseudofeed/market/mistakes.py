"""Reports all mistakes of a market file at once, one per line: file, key, what was found, what is allowed.

First pydantic checks every value alone (file.py). Then the checks below compare values with each other. Each of them
runs if the values that it needs are well-formed, even if the file has other mistakes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pseudofeed.errors import MarketFileError
from pseudofeed.market.correlations import ROUNDING, covariance_root, factor_covariance, repaired
from pseudofeed.market.exchange import ALWAYS_OPEN, check_calendar_name
from pseudofeed.market.file import DISTRIBUTIONS, MOST_FACTORS, MOST_INSTRUMENTS, MUST_BE, NOW, TABLES, MarketFile
from pseudofeed.market.timetable import DAY_NS
from pseudofeed.times import parse_step, parse_time

__all__ = ["key_text", "market_file_error", "read_market_file"]

_MOST_LINES = 50

Key = tuple[str | int, ...]


def read_market_file(raw: Mapping[str, object], *, file: str, check_calendar: bool) -> MarketFile:
    """The file's models. Raises MarketFileError with every mistake of the tables `raw`.

    check_calendar: whether the calendar's name is looked up, which needs exchange_calendars unless it is "24/7".
    """
    mistakes: list[tuple[Key, str]] = []
    model = None
    try:
        model = MarketFile.model_validate(raw)
    except ValidationError as problem:
        errors = problem.errors(include_url=False)
        mistakes = [_reworded(error) for error in errors]
    _Together(raw, mistakes).check(check_calendar=check_calendar)
    if mistakes or model is None:
        raise market_file_error(file, [f"{key_text(key)}: {text}" if key else text for key, text in mistakes])
    return model


def market_file_error(file: str, mistakes: list[str]) -> MarketFileError:
    lines = [f"{file}: {mistake}" for mistake in mistakes[:_MOST_LINES]]
    if len(mistakes) > _MOST_LINES:
        lines.append(f"{file}: and {len(mistakes) - _MOST_LINES} more")
    return MarketFileError("\n".join(lines))


def key_text(key: Key) -> str:
    """A key as the user wrote it: instruments.list[3].rho."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            text += ("." if text else "") + (part if bare else f'"{_printable(part)}"')
    return text


# --- One value alone: pydantic's errors in our words -------------------------------------------------------------


def _reworded(error: ErrorDetails) -> tuple[Key, str]:
    places = error["loc"]
    # Tags of kinds (file.py) are taken out; an unknown key is the last part, and may look like one.
    ends = places[-1:] if error["type"] == "extra_forbidden" else ()
    inner = places[: len(places) - len(ends)]
    key = (*(place for place in inner if not (isinstance(place, str) and place.startswith("<"))), *ends)
    general = re.sub(r"\[\d+\]", "[]", key_text(key))
    # Inside of a distribution's table the keys are the same wherever it stands.
    kinds = [place for place in places[:-1] if isinstance(place, str) and place.strip("<>") in DISTRIBUTIONS]
    must_be = MUST_BE.get(f"distribution.{key[-1]}" if kinds else general, "something else") if key else "tables"
    match error["type"]:
        case "missing":
            return key, f"is missing; must be {must_be}"
        case "extra_forbidden":
            parent = re.sub(r"\[\d+\]", "[]", key_text(key[:-1]))
            table = DISTRIBUTIONS[kinds[-1].strip("<>")] if kinds else TABLES[parent]
            return key, _unknown_key(str(key[-1]), list(table.model_fields))
        case "union_tag_not_found" | "union_tag_invalid" if isinstance(error["input"], Mapping):
            return (*key, "distribution"), _unknown_distribution(error["input"])
        case "mistake":
            return key, f"found {_found(error['input'])}; {error['msg']}"
    return key, f"found {_found(error['input'])}; must be {must_be}"


def _unknown_key(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(sorted(known))}"
    return f"there is no such key; {hint}"


def _unknown_distribution(table: Mapping[str, object]) -> str:
    names = ", ".join(f'"{name}"' for name in DISTRIBUTIONS)
    if "distribution" not in table:
        return f"is missing; must be one of {names}"
    return f"found {_found(table['distribution'])}; must be one of {names}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04X}" for letter in text)


def _found(value: object) -> str:
    """A value as TOML writes it, shortened."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            text = f'"{_printable(value[:61])}"'
            return text if len(value) <= 60 else f'{text[:60]}..." ({len(value)} characters)'
        case int():
            return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"
        case list():
            return f"a list of {len(value)}"
        case Mapping():
            return "a table"
        case datetime() | date() | time():
            return value.isoformat()
        case None:
            return "null"
    return repr(value)


# --- Several values together ---------------------------------------------------------------------------------------


class _Together:
    """Checks on the file's own tables. Only keys without a mistake are read."""

    def __init__(self, raw: Mapping[str, object], mistakes: list[tuple[Key, str]]) -> None:
        self._raw = raw
        self._mistakes = mistakes
        self._bad = {key for key, _ in mistakes}
        self._above_bad = {key[:length] for key in self._bad for length in range(len(key) + 1)}

    def check(self, *, check_calendar: bool) -> None:
        names = self._good("factors", "names")
        if names is not None and not 1 <= len(names) <= MOST_FACTORS:
            self._add(("factors", "names"), f"found {_found(names)}; must be from 1 to {MOST_FACTORS} names")
            names = None
        if names is not None:
            self._check_factors(names)
        self._check_instruments(None if names is None else len(names))
        self._check_clock(check_calendar=check_calendar)

    def _add(self, key: Key, text: str) -> None:
        self._mistakes.append((key, text))

    def _good(self, *key: str | int) -> Any:
        """The value at the key; None if it is not there, or if something in it or above it is wrong.

        An unknown key beside it does not matter: that is a mistake of that key only.
        """
        if key in self._above_bad or any(key[:length] in self._bad for length in range(len(key))):
            return None
        value: Any = self._raw
        for part in key:
            if isinstance(part, str) and part not in value:
                return None
            value = value[part]
        return value

    def _check_clock(self, *, check_calendar: bool) -> None:
        calendar, timetable = self._good("clock", "calendar"), self._good("clock", "timetable")
        if check_calendar and calendar is not None and not self._has("clock", "timetable"):
            try:
                check_calendar_name(calendar)
            except ValueError as problem:
                self._add(("clock", "calendar"), f"found {_found(calendar)}; it is {problem}")
        always_open = (calendar or ALWAYS_OPEN) == ALWAYS_OPEN and ("clock", "calendar") not in self._bad
        night = self._good("clock", "overnight_variance")
        if night and always_open:
            self._add(
                ("clock", "overnight_variance"),
                f'found {_found(night)}; must be 0 with the calendar "{ALWAYS_OPEN}", which has no nights: set '
                "clock.calendar to an exchange's",
            )
        if timetable is not None and always_open:
            self._add(
                ("clock", "timetable"),
                f'found a table; there must be none with the calendar "{ALWAYS_OPEN}": set clock.calendar to an '
                "exchange's, or to any name of your own",
            )
        step = self._good("clock", "step")
        if step is not None and calendar is not None and not always_open and parse_step(step) > DAY_NS:
            self._add(
                ("clock", "step"),
                f"found {_found(step)}; must be at most 1d with an exchange's calendar, where 1d is a whole session",
            )
        start, end = self._good("clock", "start"), self._good("clock", "end")
        if start is not None and end is not None and start != NOW and parse_time(end) <= parse_time(start):
            self._add(("clock", "end"), f"found {_found(end)}; must be after clock.start, {_found(start)}")

    def _has(self, table: str, key: str) -> bool:
        found = self._raw.get(table)
        return isinstance(found, Mapping) and found.get(key) is not None

    def _check_factors(self, names: list[str]) -> None:
        self._check_unique(("factors", "names"), dict(enumerate(names)))
        for name in ("volatilities", "drifts"):
            values = self._good("factors", name)
            if values is not None and len(values) != len(names):
                self._add(
                    ("factors", name),
                    f"found {_found(values)}; must be {len(names)} numbers, one for each of factors.names",
                )
        matrix = self._good("factors", "correlations")
        if matrix is not None:
            self._check_correlations(matrix, len(names))

    def _check_correlations(self, rows: list[list[float]], factors: int) -> None:
        key: Key = ("factors", "correlations")
        size = f"{factors} x {factors}, a row and a column for each of factors.names"
        if len(rows) != factors:
            self._add(key, f"found {len(rows)} rows; must be {size}")
            return
        wrong = [number for number, row in enumerate(rows) if len(row) != factors]
        for number in wrong:
            self._add((*key, number), f"found a row of {len(rows[number])}; must be {size}")
        if wrong:
            return
        before = len(self._mistakes)
        for i, row in enumerate(rows):
            if abs(row[i] - 1) > ROUNDING:
                self._add((*key, i, i), f"found {_found(row[i])}; must be 1 on the diagonal")
            for j in range(i):
                if abs(row[j] - rows[j][i]) > ROUNDING:
                    self._add(
                        (*key, i, j),
                        f"found {_found(row[j])}, but {_found(rows[j][i])} at [{j}][{i}]; the matrix must be symmetric",
                    )
        if len(self._mistakes) > before:
            return
        volatilities = self._good("factors", "volatilities")
        if volatilities is None or len(volatilities) != factors:
            volatilities = [1.0] * factors
        matrix = repaired(np.array(rows, dtype=np.float64), unit_diagonal=True)
        try:
            covariance_root(factor_covariance(np.array(volatilities, dtype=np.float64), matrix))
        except ValueError as problem:
            self._add(
                key,
                f"found a matrix that is {problem}; such correlations can't all hold at once: "
                "pseudofeed.nearest_correlation gives the nearest ones that can",
            )

    def _check_instruments(self, factors: int | None) -> None:
        if factors is not None:
            self._check_loadings(("instruments", "defaults"), factors)
        table = self._raw.get("instruments")
        rows = table.get("list", []) if isinstance(table, Mapping) else None
        if not isinstance(table, Mapping) or not isinstance(rows, list):
            return
        symbols = {}
        for number in range(len(rows)):
            symbol = self._quick(("instruments", "list", number, "symbol"), rows[number])
            if symbol is not None:
                symbols[number] = symbol
            if factors is not None and isinstance(rows[number], Mapping) and "factor_loadings" in rows[number]:
                self._check_loadings(("instruments", "list", number), factors)
        self._check_unique(("instruments", "list"), symbols, "symbol")
        count = self._good("instruments", "count") if "count" in table else 0
        if count is not None and not 1 <= len(rows) + count <= MOST_INSTRUMENTS:
            self._add(
                ("instruments",),
                f"found {len(rows) + count} instruments (list and count together); must be from 1 to "
                f"{MOST_INSTRUMENTS}: set count, or add [[instruments.list]]",
            )

    def _quick(self, key: Key, row: object) -> str | None:
        if not isinstance(row, Mapping) or not isinstance(row.get("symbol"), str):
            return None
        return None if self._bad and self._good(*key) is None else row["symbol"]

    def _check_loadings(self, table: Key, factors: int) -> None:
        loadings = self._good(*table, "factor_loadings")
        if isinstance(loadings, list) and len(loadings) != factors:
            self._add(
                (*table, "factor_loadings"),
                f"found {_found(loadings)}; must be {factors}, one for each of factors.names, or one for all",
            )

    def _check_unique(self, key: Key, names: dict[int, str], *after: str) -> None:
        first: dict[str, int] = {}
        for number, name in names.items():
            if name in first:
                other = key_text((*key, first[name], *after))
                self._add((*key, number, *after), f"found {_found(name)}, which {other} has already; must be unique")
            first.setdefault(name, number)
