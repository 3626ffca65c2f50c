"""The declarations of the kinds against all that is written by hand: schema, native layouts, JSON, docs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probe_kind import PROBE, probing
from pseudofeed import records
from pseudofeed.encode import encode_tick_json
from pseudofeed.market import Market
from pseudofeed.records import FACTOR, KINDS, STATE, TICK, Columns, Kind, Shape, kinds_of, row_tables, stored_kinds
from pseudofeed.records.arrow import arrow_schema
from reference import sbe
from reference.event_schema import message_name, schema_with

DOCS = Path(__file__).parents[2] / "docs"
MARKET = Market.sample(instruments=3, factors=2, seed=1, name="kinds", step="1s", start="2026-03-02T14:30:00Z")

GROUPS = {TICK.name: "ticks", FACTOR.name: "values"}


def event_kinds() -> list[Kind]:
    return [kind for kind in KINDS if kind.shape is Shape.EVENTS]


def test_names_topics_tables_and_templates_are_unique() -> None:
    for values in (
        [kind.name for kind in KINDS],
        [kind.topic for kind in KINDS],
        [kind.template for kind in KINDS],
        [name for _, table in row_tables() for name in (table.name, table.view)],
    ):
        assert len(set(values)) == len(values)
    assert KINDS[0] is TICK, "what a market without its topic was never fed of"


def test_every_kind_has_its_message_in_the_schema() -> None:
    numbers = {template.number: template for template in sbe.TEMPLATES.values()}
    for kind in KINDS:
        template = numbers[kind.template]
        if kind.shape is Shape.DENSE:
            entry = template.groups[GROUPS[kind.name]].fields
            assert entry.names == [field.name for field in kind.fields]
            assert entry.form.size == kind.row_bytes
        if kind.shape is Shape.EVENTS:
            assert template == sbe.templates(ET.fromstring(schema_with(kind, "pseudofeed.wire")))[message_name(kind)]
    assert numbers[STATE.template].name == "StatePart"


def test_an_event_kinds_entry_is_the_schemas_byte_for_byte() -> None:
    for kind in [PROBE, *event_kinds()]:
        group = sbe.templates(ET.fromstring(schema_with(kind, "pseudofeed.test")))[message_name(kind)].groups["events"]
        assert kind.entry.itemsize == group.fields.form.size
        # In the schema the last word of the head is longer: "event" is a keyword of C#.
        assert list(kind.entry.names or ()) == [name.replace("eventNumber", "event") for name in group.fields.names]
        raw = np.random.default_rng(2).bytes(kind.entry.itemsize)
        values = np.frombuffer(raw, kind.entry)[0]
        for name, expected in zip(kind.entry.names or (), group.fields.form.unpack(raw), strict=True):
            found = values[name].tobytes() if isinstance(expected, bytes) else values[name]
            assert np.array_equal(found, expected, equal_nan=isinstance(expected, float)), name


def test_a_json_tick_has_the_ticks_fields_in_their_order() -> None:
    text = encode_tick_json("A", fingerprint=1, sequence=1, time=0, instrument=0, price=1.0, variance=2.0)
    names = [name for name in json.loads(text) if name not in ("symbol", "time", "sequence", "instrument")]
    assert names == [*(field.name for field in TICK.fields), "market_fingerprint"]


def test_a_dense_kinds_arrays_are_those_of_a_simulated_block() -> None:
    block = next(MARKET.stream(steps=2))
    for kind in KINDS:
        if kind.shape is Shape.DENSE:
            for field in kind.fields:
                assert getattr(block, field.array).shape == (2, len(kind.key.names(MARKET)))


def test_the_docs_say_of_each_kind_what_it_declares() -> None:
    wire, store = ((DOCS / name).read_text(encoding="utf-8") for name in ("wire.md", "store.md"))
    for kind in KINDS:
        goes = {"stored": kind.table, "verified": kind.verified}
        where = ", ".join(word for word, true in goes.items() if true)
        line = f"| {kind.name} | {kind.shape.value} | `{kind.topic}.<market>` | {kind.doc} | {where} |"
        assert line in wire.splitlines()
    for kind, table in row_tables():
        columns = ", ".join(f"`{column.name}`" for column in kind.row_columns)
        assert any(line.startswith(f"| `{table.name}` |") and columns in line for line in store.splitlines()), columns
        assert f"`{table.view}`" in store


def test_which_kinds_a_market_has() -> None:
    assert kinds_of(MARKET) == KINDS
    assert stored_kinds(MARKET) == (TICK, FACTOR)
    with probing():
        assert stored_kinds(MARKET) == (TICK, FACTOR, PROBE)
        assert (PROBE, PROBE.table) in row_tables()
    assert PROBE not in records.KINDS


def test_only_ticks_and_factors_are_dense() -> None:
    with pytest.raises(ValueError, match="kind probe: only tick and factor are dense"):
        replace(PROBE, shape=Shape.DENSE)


def test_a_dense_kind_has_two_doubles() -> None:
    with pytest.raises(ValueError, match="kind tick: a dense block has two float64 a row"):
        replace(TICK, fields=TICK.fields[:1])


def test_columns_refuse_what_does_not_fit() -> None:
    three = np.arange(3)
    with pytest.raises(ValueError, match="the columns of ticks have different lengths"):
        Columns(TICK, three, three, three, three, three[:2])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        Columns(TICK, three, three, three, three)
    with pytest.raises(ValueError, match="probes are not dense"):
        Columns.dense(PROBE, 1, three, three)
    columns = Columns(TICK, three, three, three, three / 2, three)
    assert columns.where(three > 0)["price"].tolist() == [0.5, 1.0]
    assert columns.where(three >= 0) is columns
    assert repr(columns) == "<3 rows of ticks: time, sequence, number, price, variance>"


def test_one_arrow_schema_whatever_it_is_for() -> None:
    plain = arrow_schema(TICK, MARKET.clock.grain_ns, identified=False)
    assert [(field.name, str(field.type)) for field in plain] == [
        ("time", "timestamp[us, tz=UTC]"), ("price", "double"), ("variance", "double"),
    ]  # fmt: skip
    assert arrow_schema(TICK, 500).names == ["time", "symbol", "sequence", "price", "variance"]
    assert str(arrow_schema(TICK, 500).field("time").type) == "timestamp[ns, tz=UTC]"
    assert arrow_schema(FACTOR, 1000).names == ["time", "factor", "sequence", "increment", "level"]
    events = arrow_schema(PROBE, MARKET.clock.grain_ns)
    assert [str(field.type) for field in events] == [
        "timestamp[ns, tz=UTC]", str(events.field("symbol").type), "int64", "uint16", "double", "uint32", "int8",
        "string",
    ]  # fmt: skip
    assert not any(field.nullable for field in events)
