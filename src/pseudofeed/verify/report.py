"""What a verification found: a tally for each stage, and the first difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Difference", "StageTally", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is not as it must be.

    kind: "missing", "repeated", "altered" or "unexpected" (one that the market does not have). what: the kind of
    record, such as "tick". of: what it is of, such as "instrument". symbol: the instrument's, or the factor's name; it
    and step are None where what was found names none. expected and found: what the simulation says and what stands
    there, to the last digit. where: the place in the stage.
    """

    stage: str
    kind: str
    what: str
    of: str
    market: str
    symbol: str | None
    step: int | None
    expected: str
    found: str
    where: str

    def __str__(self) -> str:
        return (
            f"{self.stage}: {self.kind} {self.what}: market {self.market}, {self.of} {self.symbol or '?'}, "
            f"step {'?' if self.step is None else self.step}, {self.where}: "
            f"expected {self.expected}, found {self.found}"
        )


@dataclass(slots=True)
class StageTally:
    """Counts of one kind of record in one stage. ticks: those looked at, of whatever kind; expected: those that
    must be there. quarantined: messages that could not be read and are kept aside (the store's). backfilled: ranges of
    steps, first to last, that were compared beside those of the stream; unfinished: steps that a backfill has claimed
    and not written yet.
    """

    ticks: int = 0
    expected: int = 0
    missing: int = 0
    repeated: int = 0
    altered: int = 0
    unexpected: int = 0
    quarantined: int = 0
    backfilled: list[tuple[int, int]] = field(default_factory=list)
    unfinished: int = 0
    first_difference: Difference | None = None

    @property
    def equal(self) -> bool:
        return not (self.missing or self.repeated or self.altered or self.unexpected)

    def note(self, difference: Difference) -> None:
        """Keep the earliest difference: the smallest step, then the first noted."""
        kept = self.first_difference
        if kept is None or _order(difference) < _order(kept):
            self.first_difference = difference


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The whole comparison of a market's steps 1 to `steps`. stages: by name; a stage's name alone stands for its
    ticks, other kinds of record have a tally under its name and theirs, such as "kafka_factors"."""

    market: str
    steps: int
    stages: dict[str, StageTally] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        return all(tally.equal for tally in self.stages.values())

    @property
    def first_difference(self) -> Difference | None:
        """Of the first stage, in the data's order, that has one."""
        return next((tally.first_difference for tally in self.stages.values() if tally.first_difference), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: {"market", "steps", "equal", "first_difference", and a tally under each stage's name}."""
        first = self.first_difference
        return {
            "market": self.market,
            "steps": self.steps,
            "equal": self.equal,
            "first_difference": None if first is None else asdict(first),
            **{stage: asdict(tally) for stage, tally in self.stages.items()},
        }


def _order(difference: Difference) -> float:
    return float("inf") if difference.step is None else difference.step
