"""The state: everything that the simulation needs to continue after a step. Only the newest one counts."""

from __future__ import annotations

from pseudofeed.records.kind import Key, Kind, Shape

__all__ = ["STATE"]

STATE = Kind(
    name="state",
    topic="state",
    key=Key.MARKET,
    shape=Shape.CHECKPOINT,
    doc="Everything that the simulation needs to go on after a step",
    template=4,
    retained=False,
)
