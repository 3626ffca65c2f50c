"""The tick: price and variance of an instrument after a step."""

from __future__ import annotations

from pseudofeed.records.kind import Field, Key, Kind, RowTable, Shape
from pseudofeed.records.types import FLOAT64

__all__ = ["TICK"]

TICK = Kind(
    name="tick",
    topic="ticks",
    key=Key.INSTRUMENT,
    shape=Shape.DENSE,
    doc="Efficient price and variance of an instrument after a step",
    template=1,
    fields=(
        Field("price", FLOAT64, "The exact double of the simulation", "in the market's currency", array="prices"),
        Field(
            "variance",
            FLOAT64,
            "Heston v as the scheme has it: it may dip below zero, the volatility in force is sqrt(max(v, 0))",
            "per year",
            array="variances",
        ),
    ),
    table=RowTable(
        "tick", "tick_history", "Every tick of every market: one a step of each instrument", index_by_chunk=True
    ),
)
