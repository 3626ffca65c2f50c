"""A market file's mistakes: each named with its key, what was found and what it must be, all at once."""

from __future__ import annotations

import copy
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import MarketFileError
from pseudofeed.market import Market
from pseudofeed.market.file import DISTRIBUTIONS, TABLES

ROOT = Path(__file__).parents[2]

GOOD: dict[str, Any] = {
    "market": {"name": "demo", "seed": 7},
    "clock": {"start": "2026-03-02T14:30:00Z", "step": "1s", "calendar": "24/7"},
    "simulation": {"scheme": "qe", "substeps": 2},
    "factors": {"names": ["f", "g"], "volatilities": [0.1, 0.2], "correlations": [[1, 0.3], [0.3, 1]],
                "drifts": [0, 0]},
    "instruments": {
        "count": 3,
        "defaults": {"rho": -0.5, "theta": {"distribution": "normal", "mean": 0.1, "deviation": 0.0, "low": 0.1}},
        "list": [{"symbol": "BRK.B"}, {"symbol": "A", "rho": 0.1, "factor_loadings": [1, 0.5]}],
    },
}  # fmt: skip


def mistakes(tables: dict[str, Any]) -> str:
    with pytest.raises(MarketFileError) as caught:
        Market._read(tables, file="m.toml", ask_library=True)
    return str(caught.value)


def place(tables: Any, key: str) -> tuple[Any, str | int]:
    """The container and the last part of a key such as instruments.list[1].rho."""
    parts = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", key)]
    for part in parts[:-1]:
        tables = tables[part]
    return tables, parts[-1]


UNIFORM = {"distribution": "uniform", "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("market.name", "Demo", 'market.name: found "Demo"; must be 1 to 64 of a-z'),
        ("market.name", "a\n", 'market.name: found "a\\u000A"; must be'),
        ("market.seed", 2**64, "market.seed: found 18446744073709551616; must be a whole number from 0 to 2^64 - 1"),
        ("market.seed", 1.5, "market.seed: found 1.5; must be a whole number"),
        ("market.sed", 1, "market.sed: there is no such key; did you mean seed?"),
        ("simulation.scheme", "QE", 'simulation.scheme: found "QE"; must be "euler" or "qe"'),
        ("simulation.substeps", 0, "simulation.substeps: found 0; must be a whole number from 1 to 65536"),
        ("simulation.steps", 2, "simulation.steps: there is no such key; did you mean substeps?"),
        ("clock.step", "1m", 'clock.step: found "1m"; it is not a whole number followed by ns'),
        ("clock.step", 1, 'clock.step: found 1; must be a text such as "1s"'),
        ("clock.start", "2026-03-02T14:30:00", "has no offset from UTC (append Z for UTC); must be a time"),
        ("clock.start", 5, "clock.start: found 5; must be a time with its offset from UTC such as 2026-"),
        ("clock.calendar", "XNSY", 'clock.calendar: found "XNSY"; it is neither "24/7" nor'),
        ("clock.overnight_variance", 101, "clock.overnight_variance: found 101; must be a number from 0 to 100"),
        ("clock.overnight_variance", 0.5, 'clock.overnight_variance: found 0.5; must be 0 with the calendar "24/7"'),
        ("factors.names[1]", "f", 'factors.names[1]: found "f", which factors.names[0] has already'),
        ("factors.names", [], "factors.names: found a list of 0; must be from 1 to 64"),
        ("factors.volatilities[1]", -0.1, "factors.volatilities[1]: found -0.1; must be a number from 0"),
        ("factors.volatilities[1]", float("nan"), "factors.volatilities[1]: found nan; must be a number"),
        ("factors.volatilities", [0.1], "factors.volatilities: found a list of 1; must be 2 numbers"),
        ("factors.drifts[0]", float("inf"), "factors.drifts[0]: found inf; must be a number from -100 to 100"),
        ("factors.correlations", [[1]], "factors.correlations: found 1 rows; must be 2 x 2"),
        ("factors.correlations[1]", [1], "factors.correlations[1]: found a row of 1; must be 2 x 2"),
        ("factors.correlations[0][1]", 0.4, "factors.correlations[1][0]: found 0.3, but 0.4 at [0][1]"),
        ("factors.correlations[0][0]", 0.5, "factors.correlations[0][0]: found 0.5; must be 1 on the diagonal"),
        ("factors.correlations[0][1]", 1.5, "factors.correlations[0][1]: found 1.5; must be a number from -1 to 1"),
        ("instruments.count", -1, "instruments.count: found -1; must be a whole number from 0 to 1000000"),
        ("instruments.count", 1_000_000, "instruments: found 1000002 instruments"),
        ("instruments.defaults.rho", True, "instruments.defaults.rho: found true; must be a number from -1 to 1, or a"),
        ("instruments.defaults.xi", -0.1, "instruments.defaults.xi: found -0.1; must be a number from 0 to"),
        ("instruments.defaults.theta", {"distribution": "gamma"}, 'theta.distribution: found "gamma"; must be one of'),
        ("instruments.defaults.kappa", [1, 2], "defaults.kappa: found a list of 2; must be a number from 0"),
        ("instruments.list[1].rho", ["x"], "instruments.list[1].rho: found a list of 1; must be a number from -1"),
        ("instruments.list[1].factor_loadings", [[1], 1], "factor_loadings[0]: found a list of 1; must be a number"),
        ("instruments.defaults.theta", {"low": 1.0}, "instruments.defaults.theta.distribution: is missing"),
        ("instruments.defaults.theta.deviation", -1.0, "theta.deviation: found -1.0; must be a number, 0 or more"),
        ("instruments.defaults.theta.high", 0.05, "low is 0.1 and high is 0.05; low must not be above high"),
        ("instruments.defaults.rho", {**UNIFORM, "high": 2.0}, "its high is 2.0; must be a number from -1 to 1"),
        ("instruments.list[1].rho", -1.5, "instruments.list[1].rho: found -1.5; must be a number from -1 to 1"),
        ("instruments.list[1].roh", 0.5, "instruments.list[1].roh: there is no such key; did you mean rho?"),
        ("instruments.list[1].<normal>", 1, 'instruments.list[1]."<normal>": there is no such key; the keys here are'),
        ("instruments.list[1].initial_price", 0, "initial_price: found 0; must be a number from 1e-09"),
        ("instruments.list[1].symbol", "BRK.B", 'list[1].symbol: found "BRK.B", which instruments.list[0].symbol has'),
        ("instruments.list[1].symbol", "../x", 'instruments.list[1].symbol: found "../x"; must be 1 to 32'),
        ("instruments.list[1].symbol", "x" * 33, "instruments.list[1].symbol: found"),
        ("instruments.list[1].factor_loadings", [1], "list[1].factor_loadings: found a list of 1; must be 2"),
        ("instruments.list[1].factor_loadings[0]", "x", 'list[1].factor_loadings[0]: found "x"; must be a number'),
        ("instruments", 3, "instruments: found 3; must be a table [instruments]"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_and_is_the_only_one(key: str, value: object, message: str) -> None:
    tables = copy.deepcopy(GOOD)
    container, last = place(tables, key)
    container[last] = value
    text = mistakes(tables)
    assert message in text
    assert text.startswith("m.toml: ")
    assert text.count("\n") == 0


def test_correlations_that_cannot_hold_together_name_where() -> None:
    tables = copy.deepcopy(GOOD)
    tables["factors"] = {
        "names": ["a", "b", "c"],
        "volatilities": [0.1] * 3,
        "correlations": [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]],
    }
    del tables["instruments"]["list"]
    assert (
        "factors.correlations: found a matrix that is not positive semi-definite: between factors 2 and 2"
        in mistakes(tables)
    )
    tables["factors"]["correlations"] = [[1.0] * 3] * 3
    assert Market._read(tables, file="m.toml", ask_library=True).factors.correlations.sum() == 9


def test_all_mistakes_come_at_once_whatever_they_need() -> None:
    tables = copy.deepcopy(GOOD)
    tables["market"]["sed"] = 1
    tables["factors"]["correlations"] = [[1, 0.5], [0.4, 1]]
    tables["instruments"]["list"].append({"symbol": "A", "rho": -1.5})
    del tables["clock"]
    lines = mistakes(tables).splitlines()
    assert len(lines) == 5
    for part in ("market.sed", "clock: is missing", "correlations[1][0]", "list[2].rho", "list[2].symbol"):
        assert any(part in line for line in lines)


def test_a_draw_outside_of_the_range_names_instrument_and_parameter() -> None:
    tables = copy.deepcopy(GOOD)
    tables["instruments"] = {
        "count": 50,
        "defaults": {"rho": {"distribution": "normal", "mean": 0.5, "deviation": 1.0}},
        "list": [
            {"symbol": "X", "factor_loadings": [{"distribution": "lognormal", "median": 999.0, "deviation": 9.0}, 0]}
        ],
    }
    tables["market"]["seed"] = 11
    text = mistakes(tables)
    assert re.search(
        r"instruments\.defaults\.rho: drawn -?\d\.\d+ for instrument \w+ \(and for \d+ more\); must be", text
    )
    tables["instruments"]["defaults"]["rho"] |= {"low": -0.9, "high": 0.9}
    tables["instruments"]["list"] = []
    rho = Market._read(tables, file="m.toml", ask_library=True).instruments.rho
    assert rho.min() >= -0.9
    assert rho.max() == 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[market]\nname = \n", "x.toml, line 2, column 8: not valid TOML: invalid value"),
        ("[market]\nname = 'a'\nname = 'b'\n", "x.toml, line 3, column 11: not valid TOML: cannot overwrite a value"),
        ("a = [1,\n2", "x.toml, line 2, column 2 (the end of the file): not valid TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_toml_has_line_and_column(text: str, message: str) -> None:
    with pytest.raises(MarketFileError) as caught:
        Market.loads(text, file="x.toml")
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MarketFileError, match=r"none\.toml: cannot read the file: No such file"):
        Market.load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"[market]\nname = '\xe9'\n")
    with pytest.raises(MarketFileError, match=r"latin\.toml, line 2: the file is not UTF-8"):
        Market.load(tmp_path / "latin.toml")


def test_a_byte_order_mark_and_thousands_of_digits_are_understood(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "market.toml").read_text(encoding="utf-8")
    (tmp_path / "marked.toml").write_text(text, encoding="utf-8-sig")
    assert Market.load(tmp_path / "marked.toml") == Market.loads("\ufeff" + text) == Market.loads(text)
    with pytest.raises(MarketFileError, match=r"x\.toml: not valid TOML: Exceeds the limit"):
        Market.loads(text.replace("seed = 7", f"seed = {'9' * 5000}"), file="x.toml")
    assert Market.loads(text.replace("2026-03-02T14:30:00Z", '"2026-03-02T14:30:00+0000"')) == Market.loads(text)


TEXTS = st.sampled_from(["now", "1s", "A"])
KEYS_INSIDE = st.sampled_from(["symbol", "distribution", "low", "high", "mean", "x y", "<normal>"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS_INSIDE, inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    *GOOD,
    *(f"{table}.{key}" for table, content in GOOD.items() for key in content),
    *("factors.names[0]", "factors.drifts[1]", "factors.correlations[0]", "factors.correlations[1][0]"),
    *("instruments.defaults.theta", "instruments.defaults.theta.low", "instruments.defaults.kappa"),
    *("instruments.defaults.factor_loadings", "instruments.list[0]", "instruments.list[0].symbol"),
    *(
        "instruments.list[1].factor_loadings",
        "instruments.list[1].factor_loadings[1]",
        "market.<list>",
        "clock.<number>",
    ),
]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=4))
def test_whatever_stands_in_a_file_it_is_a_market_or_a_list_of_mistakes_in_our_words(changes: list[Any]) -> None:
    tables = copy.deepcopy(GOOD)
    for key, value in changes:
        try:
            container, last = place(tables, key)
            container[last] = value
        except (LookupError, TypeError):
            continue
    try:
        market = Market._read(tables, file="m.toml", ask_library=True)
    except MarketFileError as error:
        text = str(error)
        assert all(line.startswith("m.toml: ") for line in text.splitlines())
        assert not re.search(r"pydantic|Input should|https?:|something else|Value error", text)
    else:
        assert Market.from_specification(market.specification) == market


def test_the_example_and_the_reference_are_true() -> None:
    market = Market.load(ROOT / "examples" / "market.toml")
    assert len(market.symbols) == 105
    assert market.symbols[:3] == ("CALM", "WILD.B", "ALFA")
    reference = (ROOT / "docs" / "market-file.md").read_text(encoding="utf-8")
    smallest = re.search(r"```toml\n(.*?)```", reference, re.DOTALL)
    assert smallest
    assert len(Market.loads(smallest[1]).symbols) == 10
    for model in [*TABLES.values(), *DISTRIBUTIONS.values()]:
        for key in model.model_fields:
            assert f"`{key}`" in reference or f"`[{key}]`" in reference, key


def test_distributions_beyond_all_doubles_are_clamped_or_refused_without_a_warning() -> None:
    tables = copy.deepcopy(GOOD)
    widest = {"mean": 1e308, "deviation": 1e308}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables["instruments"]["defaults"]["kappa"] = {"distribution": "normal", **widest, "low": 0.0, "high": 1.0}
        assert set(Market._read(tables, file="m.toml", ask_library=False).instruments.kappa) <= {0.0, 1.0}
        tables["instruments"]["defaults"]["kappa"] = {"distribution": "normal", **widest}
        assert "instruments.defaults.kappa: drawn " in mistakes(tables)
        tables["instruments"]["defaults"]["kappa"] = {"distribution": "lognormal", "median": 1e3, "deviation": 1e308}
        assert "instruments.defaults.kappa: drawn inf" in mistakes(tables)
