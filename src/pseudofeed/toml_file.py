"""Reading TOML for people, and writing its strings. Syntax errors read `file, line L, column C: what is wrong`.

tomllib (Python 3.11) puts the place into its message only; it is taken out here, once, for market files and for
pseudofeed.toml.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pseudofeed.errors import PseudofeedError

__all__ = ["parse_toml", "read_toml", "toml_string"]

_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL)

# What a basic string of TOML 1.0 may not hold as it is: the quotation mark, the backslash, and control characters.
_ESCAPED = {number: f"\\u{number:04X}" for number in (*range(0x20), 0x7F)}
_ESCAPED |= {ord(letter): f"\\{name}" for letter, name in zip('"\\\b\t\n\f\r', '"\\btnfr', strict=True)}


def toml_string(text: str) -> str:
    """The text as a basic string of TOML, in one line. JSON's strings are other ones: TOML has no surrogate pairs."""
    return f'"{text.translate(_ESCAPED)}"'


def read_toml(path: Path, error: type[PseudofeedError]) -> dict[str, object]:
    """The file's table. Raises `error`, naming the file, if it can't be read or isn't TOML."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: cannot read the file: {problem.strerror or type(problem).__name__}") from problem
    try:
        text = content.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"{path}, line {line}: the file is not UTF-8 text, as TOML must be") from None
    return parse_toml(text, file=str(path), error=error)


def parse_toml(text: str, *, file: str, error: type[PseudofeedError]) -> dict[str, object]:
    """The text's table. Raises `error` with file, line and column if it isn't TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as problem:
        place = _PLACE.match(str(problem))
        if place is None:
            raise error(f"{file}: not valid TOML: {problem}") from None
        if place["line"] is None:
            lines = text.splitlines() or [""]
            where = f"line {len(lines)}, column {len(lines[-1]) + 1} (the end of the file)"
        else:
            where = f"line {place['line']}, column {place['column']}"
        raise error(f"{file}, {where}: not valid TOML: {place['what'].lower()}") from None
    except ValueError as problem:  # an integer of thousands of digits, which Python refuses to convert
        raise error(f"{file}: not valid TOML: {str(problem).partition(';')[0]}") from None
    except RecursionError:
        raise error(f"{file}: not valid TOML: tables or lists are nested too deeply") from None
