"""Quotes as the cache's script takes them: the texts are Python's own, to the last digit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.cache.quotes import iso_time
from pseudofeed.encode import QuoteEncoder

OPENINGS = {1: "2026-03-02T14:30:00Z", 8: "2026-03-03T14:30:00Z"}
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e-4, 9.999e-5, 1e16, 9999999999999998.0, 100000.0, -0.0, 5e-324, -1.7976931348623157e308]),
)
quotes = st.tuples(
    st.integers(1, 2**53), st.integers(1 - 2**63, 2**63 - 1), numbers, numbers, st.sampled_from([0, 1, 8]),
    st.booleans(), st.booleans(), numbers, numbers, numbers,
)  # fmt: skip


def entries_in(packed: bytes) -> list[str | bool | int]:
    """MessagePack's array 32 of str 16, booleans and uint 32."""
    assert packed[0] == 0xDD
    found: list[str | bool | int] = []
    at = 5
    for _ in range(int.from_bytes(packed[1:5], "big")):
        kind, at = packed[at], at + 1
        if kind == 0xDA:
            size = int.from_bytes(packed[at : at + 2], "big")
            found.append(packed[at + 2 : at + 2 + size].decode())
            at += 2 + size
        elif kind == 0xCE:
            found.append(int.from_bytes(packed[at : at + 4], "big"))
            at += 4
        else:
            assert kind in (0xC2, 0xC3)
            found.append(kind == 0xC3)
    assert at == len(packed)
    return found


@given(st.lists(quotes, min_size=1, max_size=4), st.data())
def test_texts_are_those_of_repr(
    given: list[tuple[int, int, float, float, int, bool, bool, float, float, float]], data: st.DataObject
) -> None:
    symbols = [f'S{n}."é' for n in range(len(given))]
    chosen = data.draw(st.lists(st.integers(0, len(given) - 1), unique=True), label="instruments")
    sequence, time, price, variance, first, known, in_part, opened, high, low = (
        np.array(column) for column in zip(*given, strict=True)
    )
    encoder = QuoteEncoder(
        symbols, sequence=sequence, time=time, price=price, variance=variance, first=first,
        known=known.astype(np.uint8), in_part=in_part.astype(np.uint8), open=opened, high=high, low=low,
    )  # fmt: skip
    packed, published = encoder.encode(np.array(chosen, np.int64), OPENINGS)
    if not chosen:
        assert (packed, published) == (b"\x90", b"")
        return
    entries = entries_in(packed)
    for n, quote in zip(chosen, json.loads(b"[" + published + b"]"), strict=True):
        step, ns, *values, begun, is_known, is_told, first_price, highest, lowest = given[n]
        session: list[object] = [False]
        if is_known and begun:
            session = [True] if is_told else [OPENINGS[begun], *map(repr, (first_price, highest, lowest))]
        own = [str(step), iso_time(ns), str(ns), *map(repr, values), *session]
        assert entries[: len(own)] == own
        size = int(entries[len(own)])
        assert json.loads(published[:size]) == quote
        entries, published = entries[len(own) + 1 :], published[size + 1 :]
        assert repr(quote.pop("price")) == repr(values[0])
        assert quote.pop("symbol") == symbols[n]
        assert quote.keys() == {"sequence", "time", "variance"} | (
            {"session", "open", "high", "low"} if is_known and begun else set()
        )
    assert not entries
    assert not published


def test_what_does_not_fit_is_refused() -> None:
    columns: dict[str, Any] = {name: np.zeros(2) for name in ("price", "variance", "open", "high", "low")}
    columns |= {name: np.zeros(2, np.int64) for name in ("sequence", "time", "first")}
    columns |= {name: np.zeros(2, np.uint8) for name in ("known", "in_part")}
    encoder = QuoteEncoder(["A", "B"], **columns)
    with pytest.raises(ValueError, match=r"instruments\[1\] is 2; there are 2"):
        encoder.encode(np.array([0, 2]), {})
    with pytest.raises(ValueError, match=r"openings\[5\] has 65 bytes"):
        encoder.encode(np.array([0]), {5: "x" * 65})
    with pytest.raises(ValueError, match="length 2"):
        QuoteEncoder(["A", "B"], **{**columns, "known": np.zeros(1, np.uint8)})
