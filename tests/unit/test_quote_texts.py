"""Quotes as the cache's script takes them: the texts are Python's own, to the last digit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.cache.quotes import iso_time
from pseudofeed.encode import QUOTE_TEXTS, QuoteEncoder

OPENINGS = {1: "2026-03-02T14:30:00Z", 8: "2026-03-03T14:30:00Z"}
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e-4, 9.999e-5, 1e16, 9999999999999998.0, 100000.0, -0.0, 5e-324, -1.7976931348623157e308]),
)
quotes = st.tuples(
    st.integers(1, 2**53), st.integers(1 - 2**63, 2**63 - 1), numbers, numbers, st.sampled_from([0, 1, 8]),
    st.booleans(), numbers, numbers, numbers,
)  # fmt: skip


def texts_in(packed: bytes) -> list[str]:
    """MessagePack's array 32 of str 16."""
    assert packed[0] == 0xDD
    found, at = [], 5
    for _ in range(int.from_bytes(packed[1:5], "big")):
        assert packed[at] == 0xDA
        end = at + 3 + int.from_bytes(packed[at + 1 : at + 3], "big")
        found.append(packed[at + 3 : end].decode())
        at = end
    assert at == len(packed)
    return found


@given(st.lists(quotes, min_size=1, max_size=4), st.data())
def test_texts_are_those_of_repr(
    given: list[tuple[int, int, float, float, int, bool, float, float, float]], data: st.DataObject
) -> None:
    symbols = [f'S{n}."é' for n in range(len(given))]
    chosen = data.draw(st.lists(st.integers(0, len(given) - 1), unique=True), label="instruments")
    sequence, time, price, variance, first, known, opened, high, low = (
        np.array(column) for column in zip(*given, strict=True)
    )
    packed, published = QuoteEncoder(symbols).encode(
        np.array(chosen, np.int64), sequence=sequence, time=time, price=price, variance=variance, first=first,
        known=known.astype(np.uint8), openings=OPENINGS, open=opened, high=high, low=low,
    )  # fmt: skip
    if not chosen:
        assert (packed, published) == (b"\x90", b"")
        return
    texts = texts_in(packed)
    assert len(texts) == QUOTE_TEXTS * len(chosen)
    at = 0
    for place, n in enumerate(chosen):
        step, ns, *values, begun, is_known, first_price, highest, lowest = given[n]
        session = [OPENINGS[begun], *map(repr, (first_price, highest, lowest))] if is_known and begun else ["-"] * 4
        own = texts[place * QUOTE_TEXTS : (place + 1) * QUOTE_TEXTS]
        assert own[:-1] == [str(step), iso_time(ns), str(ns), *map(repr, values), *session]
        quote = json.loads(published[at : at + int(own[-1])])
        assert repr(quote.pop("price")) == repr(values[0])
        assert quote.pop("symbol") == symbols[n]
        assert quote.keys() == {"sequence", "time", "variance"} | (
            {"session", "open", "high", "low"} if session[0] != "-" else set()
        )
        at += int(own[-1]) + 1
    assert json.loads(b"[" + published + b"]")
    assert at == len(published) + 1


def test_what_does_not_fit_is_refused() -> None:
    columns: dict[str, Any] = {name: np.zeros(2) for name in ("price", "variance", "open", "high", "low")}
    columns |= {name: np.zeros(2, np.int64) for name in ("sequence", "time", "first")}
    encoder = QuoteEncoder(["A", "B"])

    def encode(instruments: list[int], openings: dict[int, str], known: int) -> None:
        encoder.encode(np.array(instruments, np.int64), **columns, known=np.zeros(known, np.uint8), openings=openings)

    with pytest.raises(ValueError, match=r"instruments\[1\] is 2; there are 2"):
        encode([0, 2], {}, 2)
    with pytest.raises(ValueError, match="length 2"):
        encode([0], {}, 1)
    with pytest.raises(ValueError, match=r"openings\[5\] has 65 bytes"):
        encode([0], {5: "x" * 65}, 2)
