"""The factor: increment and level, in a step, of something that moves many instruments at once."""

from __future__ import annotations

from pseudofeed.records.kind import Field, Key, Kind, RowTable, Shape
from pseudofeed.records.types import FLOAT64

__all__ = ["FACTOR"]

FACTOR = Kind(
    name="factor",
    topic="factors",
    key=Key.FACTOR,
    shape=Shape.DENSE,
    doc="Increment and level of a factor in a step",
    template=3,
    fields=(
        Field("increment", FLOAT64, "Its return in this step: 0.01 is 1 %", array="factor_increments"),
        Field("level", FLOAT64, "The running sum of the increments since step 0", array="factor_levels"),
    ),
    table=RowTable("factor_level", "factor_history", "What the factors of every market did, one row a factor and step"),
)
