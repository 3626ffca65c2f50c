"""Doubles out of texts, through the quotes' decoder, against Python's float(), which rounds correctly."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pseudofeed.encode import decode_quotes


def read(texts: list[str]) -> list[float] | None:
    """The numbers, or None where one of them is none."""
    integers, doubles = np.zeros((3, len(texts)), np.int64), np.zeros((5, len(texts)))
    answers: list[object] = [["1", "1", "1", text, text, None, None, None] for text in texts]
    if not decode_quotes(answers, integers, doubles):
        return None
    assert doubles[0].tobytes() == doubles[1].tobytes()
    return [float(value) for value in doubles[0]]


def assert_as_float(text: str) -> None:
    value = float(text)
    # Too large, or too small and not 0: no number, as of std::from_chars.
    lost = math.isinf(value) or (value == 0 and any(digit in "123456789" for digit in text.lower().split("e")[0]))
    found = read([text])
    assert found is None if lost else found is not None and found[0].hex() == value.hex(), text


numbers = st.from_regex(r"-?[0-9]{0,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(numbers.filter(lambda text: any(c.isdigit() for c in text.lower().split("e")[0])))
@example("9007199254740993")
@example("2.2250738585072011e-308")
def test_any_text_of_a_number(text: str) -> None:
    assert_as_float(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back_from_its_shortest_text(value: float) -> None:
    assert_as_float(repr(value))
    assert_as_float(f"{value:.17g}")
    assert_as_float(f"{value:.40e}")


def test_hard_cases() -> None:
    """Middles between neighbours, exactly and one digit beside, where a rounding error anywhere tells."""
    draw = random.Random(11)
    for exponent in [*range(-1074, 971, 31), -1074, -1073, -1023, -1022, -53, -1, 0, 1, 52, 53, 970]:
        for mantissa in (1, 2**52, 2**53 - 1, draw.getrandbits(52) | 2**52, draw.getrandbits(53)):
            middle = Fraction(2 * mantissa + 1) * Fraction(2) ** (exponent - 1)
            # A fraction whose denominator is a power of two has as many decimal places as that power.
            places = max(0, 1 - exponent)
            digits = str(middle.numerator * 10**places // middle.denominator)
            for text in (digits, digits + "0000001", str(int(digits) - 1) + "9999999"):
                assert_as_float(f"{text[:1]}.{text[1:]}e{len(digits) - 1 - places}")


def test_doubles_of_every_size() -> None:
    draw = random.Random(12)
    values = [draw.uniform(1, 10) * 10.0 ** draw.randrange(-307, 308) for _ in range(2000)]
    values += [round(draw.uniform(0, 1000), draw.randrange(12)) for _ in range(2000)]
    values += [5e-324 * draw.getrandbits(draw.randrange(1, 52)) for _ in range(500)]
    for texts in ([repr(value) for value in values], [f"{value:.20g}" for value in values]):
        found = read(texts)
        assert found is not None
        assert [value.hex() for value in found] == [float(text).hex() for text in texts]


@pytest.mark.parametrize(
    "text", ["", "-", "+1", " 1", "1 ", ".", "1e", "1e+", "e5", "inf", "nan", "0x1", "1_0", "1,5", "--1"]
)
def test_no_number(text: str) -> None:
    assert read([text]) is None
