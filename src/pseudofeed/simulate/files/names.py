"""Symbols as file names: distinct on every disk, allowed on every system, and `urllib.parse.unquote` gives the symbol.

A symbol is used as the file name as far as possible. Percent-encoded are: characters that are not allowed in a file
name on some system; the first letter of a name that Windows reserves for a device (NUL), or that is reserved here
(factors.csv has the factors); and all lower-case letters of symbols that differ from another one only by case, because
macOS and Windows treat BRKa and BRKA as one file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["FACTORS", "portable_name", "portable_names"]

FACTORS = "factors"

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved in any case, and with any extension.
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$+=@~^_-.!&")


def portable_names(symbols: Sequence[str]) -> tuple[str, ...]:
    """The file names of a market's symbols, without an extension and in their order."""
    sharing = Counter(symbol.casefold() for symbol in symbols)
    return tuple(portable_name(symbol, distinct=sharing[symbol.casefold()] > 1) for symbol in symbols)


def portable_name(symbol: str, *, distinct: bool = False) -> str:
    """The file name of a symbol; distinct: it must not depend on the case of its letters."""
    reserved = symbol.casefold() == FACTORS or symbol.casefold().split(".")[0] in _DEVICES
    return "".join(
        letter
        if letter in _PLAIN and not (distinct and letter.islower()) and not (place == 0 and (reserved or letter == "."))
        else "".join(f"%{byte:02X}" for byte in letter.encode())
        for place, letter in enumerate(symbol)
    )
