"""The header of one message: everything except its rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MessageHeader"]


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """Of a message with rows of a dense or an event kind: a block, or a single tick (SBE or JSON).

    fingerprint: of the market's specification, unsigned 64 bits. first_step: sequence of the first of `steps` steps.
    rows: their number. partition: None in JSON, which does not have it. number: of a single tick's instrument,
    which is in the partition with others; None for a block. first_event, more: of an event block, how many events of
    its first step are in earlier blocks, and whether its last step continues in the next one.
    """

    fingerprint: int
    partition: int | None
    first_step: int
    steps: int
    rows: int
    number: int | None = None
    first_event: int = 0
    more: bool = False

    @property
    def last_step(self) -> int:
        return self.first_step + self.steps - 1
