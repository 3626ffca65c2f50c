"""Symbols as file names: distinct on any disk, allowed on any system, and reversible."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.market.file import _SYMBOL
from pseudofeed.simulate.files.names import portable_name, portable_names

# Few letters, so that symbols often differ by case alone; and the names that are special.
SYMBOLS = st.one_of(
    st.from_regex(_SYMBOL, fullmatch=True),
    st.text("aAbB", min_size=1, max_size=4),
    st.sampled_from(["CON", "con", "nul", "NUL.B", "COM1", "Lpt9.x", "CONIN$", "factors", "FACTORS", "Factors", "X."]),
)

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^\.')
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\..*)?", re.IGNORECASE)


@given(st.lists(SYMBOLS, unique=True, max_size=20))
def test_names_are_distinct_portable_and_reversible(symbols: list[str]) -> None:
    names = [f"{name}.csv" for name in portable_names(symbols)]
    assert len({name.casefold() for name in names} | {"factors.csv"}) == len(symbols) + 1
    for symbol, name in zip(symbols, names, strict=True):
        assert unquote(name) == f"{symbol}.csv"
        assert not FORBIDDEN.search(name)
        assert not DEVICE.fullmatch(name)
        assert len(name) <= 255


def test_ordinary_symbols_are_their_own_names() -> None:
    symbols = ("ALFA", "BRK.B", "ES=F", "^GSPC", "btcusdt", "$^$", "_HID", "EUR+USD", "a@b", "COMX", "CONS")
    assert portable_names(symbols) == symbols


def test_names_of_special_symbols() -> None:
    assert portable_names(("BRKa", "BRKA", "CON", "nul.x", "A:B", "factors", "ALFA")) == (
        "BRK%61", "BRKA", "%43ON", "%6Eul.x", "A%3AB", "%66actors", "ALFA",
    )  # fmt: skip
    assert portable_name("aux") == "%61ux"
