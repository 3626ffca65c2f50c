"""Where a feed goes on: the ends of its topics, and the newest state of the simulation from which all of them can be
reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pseudofeed.encode import StateRecord
from pseudofeed.errors import TopicError
from pseudofeed.publish.checkpoint import newest_state
from pseudofeed.publish.ends import MarketEnds, PartitionEnd, TopicEnds, read_ends
from pseudofeed.records import STATE, TICK
from pseudofeed.simulate.state import PRICE, VARIANCE, MarketState, state_form
from pseudofeed.simulate.stream import advance

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["Beginning", "find_beginning"]


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """ends: of the market's topics. state: the one to walk from, of the start where no stored one fits. key_set: the
    set of keys that the next stored state gets."""

    ends: MarketEnds
    state: MarketState
    key_set: int

    @property
    def first_step(self) -> int:
        """The first step that must be simulated for more than its state: some partition lacks it, or it can be compared
        with what a partition's last messages hold. Later than the state's."""
        return max(self.ends.first_step, self.state.step + 1)


def find_beginning(kafka: Mapping[str, str], market: Market, partitions: int) -> Beginning:
    """Read a market's topics. partitions: of those of instruments.

    A stored state of another version, incomplete, or later than what a partition holds (of a topic that was deleted and
    recreated) is skipped for an older one, or for the start. Raises as `read_ends` does; TopicError where all that
    a partition held was deleted and no state says how far it had come.
    """
    ends = read_ends(kafka, market, partitions)
    found = newest_state(kafka, STATE.topic_of(market.name), market, fits=lambda record: _fits(record, market, ends))
    ends = MarketEnds(_completed(topic, found) for topic in ends)
    if found is None:
        return Beginning(ends, advance(market, None, 0), 0)
    return Beginning(ends, MarketState(found.step, found.arrays), 1 - found.key_set)


def _fits(record: StateRecord, market: Market, ends: MarketEnds) -> bool:
    """Whether the topics can be gone on with from this state."""
    form = state_form(market)
    if record.version != form.version or {name: array.shape for name, array in record.arrays.items()} != form.shapes:
        return False
    for topic in ends:
        offsets = record.offsets.get(topic.topic)
        if offsets is None or len(offsets) != len(topic.partitions):
            return False
        for end, offset in zip(topic.partitions, offsets.tolist(), strict=True):
            if offset > end.offset or (len(end.numbers) and not _reaches(end, record.step, offset)):
                return False
    # The state has the prices and variances of its own step, which the last messages may hold.
    return ends[TICK].agrees(record.step, {name: record.arrays[name] for name in (PRICE, VARIANCE)})


def _reaches(end: PartitionEnd, step: int, offset: int) -> bool:
    """Whether the partition holds all up to `step`; where nothing can be read of it, it must end just behind that."""
    return end.offset == offset if end.step is None else end.step >= step


def _completed(topic: TopicEnds, found: StateRecord | None) -> TopicEnds:
    """A partition of which nothing can be read (retention took it all) ends with the state's step."""
    ends = []
    for number, end in enumerate(topic.partitions):
        if end.step is None and len(end.numbers):
            if found is None:
                raise TopicError(
                    f"topic {topic.topic}, partition {number}: what was before offset {end.offset} was deleted (by "
                    "retention or by hand), and no stored state says how far it had come; drop the market and feed it "
                    "again"
                )
            end = replace(end, step=found.step)
        ends.append(end)
    return replace(topic, partitions=tuple(ends))
