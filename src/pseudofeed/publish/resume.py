"""Where a feed goes on: what each partition of a topic holds, read from its last messages.

The price and variance of an instrument's last tick are the simulation's whole state, so the topic is its own
checkpoint: a feed goes on from there after 10^9 ticks as fast as after ten.

Offsets may have gaps, so the last messages are looked for backwards from the end, in growing steps. A feed that was
killed may have had requests under way which the broker writes after we looked; so a topic with data counts as read
when two looks, `SETTLE_SECONDS` apart, find the same end. What arrives later still is noticed by the producer, whose
messages then do not get the offsets that are due (Producer.begin).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode import TickColumns, decode_ticks, instrument_partitions
from pseudofeed.errors import MalformedMessage, SimulationError, TopicError
from pseudofeed.publish.reader import TopicReader
from pseudofeed.simulate.paths import MarketState
from pseudofeed.simulate.stream import stream

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["PartitionEnd", "TopicEnd", "read_end"]

SETTLE_SECONDS = 0.25
SETTLE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class PartitionEnd:
    """What a partition of M instruments holds: the steps up to `step` (0: none), and of the next one the first `ahead`
    instruments, fewer than M; all of it before `offset`, the next one to be written.

    numbers: (M,) int64, the instruments in the market. prices, variances: (M,) float64, each instrument's last.
    """

    numbers: NDArray[np.int64]
    step: int
    ahead: int
    prices: NDArray[np.float64]
    variances: NDArray[np.float64]
    offset: int

    @property
    def newest(self) -> int:
        """The newest step of which it holds a tick."""
        return self.step + (self.ahead > 0)


@dataclass(frozen=True, slots=True, eq=False)
class TopicEnd:
    """All partitions' ends, in their order."""

    partitions: tuple[PartitionEnd, ...]

    @property
    def newest(self) -> int:
        """The newest step of any partition."""
        return max(end.newest for end in self.partitions)

    @property
    def steps(self) -> NDArray[np.int64]:
        """(P,)"""
        return np.array([end.step for end in self.partitions], dtype=np.int64)

    @property
    def ahead(self) -> NDArray[np.int64]:
        """(P,)"""
        return np.array([end.ahead for end in self.partitions], dtype=np.int64)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(P,)"""
        return np.array([end.offset for end in self.partitions], dtype=np.int64)


def read_end(kafka: Mapping[str, str], topic: str, market: Market, partitions: int, *, settle: bool = True) -> TopicEnd:
    """The end of each partition. Its last messages are checked: lengths, checksums, fingerprint, partition, that their
    ticks follow on from each other, and that the last one is what the simulation makes of the one before.

    settle: wait until nobody writes. Raises TopicError naming the topic where another feed goes on writing, where
    retention took what was there, or where the data is another market's; MalformedMessage naming partition and
    offset.
    """
    of_instrument = instrument_partitions(market.symbols, partitions)
    members = [np.flatnonzero(of_instrument == p) for p in range(partitions)]
    with TopicReader(kafka) as reader:
        low, high = reader.watermarks(topic, partitions)
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while settle and (high > 0).any():
            time.sleep(SETTLE_SECONDS)
            before = high
            low, high = reader.watermarks(topic, partitions)
            if np.array_equal(before, high):
                break
            if time.monotonic() > deadline:
                raise TopicError(
                    f"another feed is writing to topic {topic}: a market has one feed at a time; stop the other one"
                )
        last = _LastTicks(reader, topic, market, low, high).read([2 * len(numbers) for numbers in members])
    return TopicEnd(
        tuple(_partition_end(topic, market, p, members[p], last.get(p), int(high[p])) for p in range(partitions))
    )


class _LastTicks:
    """Reads the last ticks of partitions, whatever messages they are in."""

    def __init__(
        self, reader: TopicReader, topic: str, market: Market, low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> None:
        self._reader, self._topic, self._market = reader, topic, market
        self._low, self._high = low, high

    def read(self, wanted: list[int]) -> dict[int, TickColumns]:
        """At least `wanted` ticks of each partition that was ever written to, or all where there are not so many."""
        found: dict[int, TickColumns] = {}
        back = {p: 1 for p in range(len(wanted)) if self._high[p] > 0}
        while back:
            starts = {p: int(max(self._low[p], self._high[p] - count)) for p, count in back.items()}
            messages: dict[int, tuple[list[int], list[bytes]]] = {p: ([], []) for p in starts}
            for message in self._reader.read(self._topic, starts):
                partition, offset = message.partition() or 0, message.offset() or 0
                if offset < self._high[partition]:
                    messages[partition][0].append(offset)
                    messages[partition][1].append(message.value() or b"")
            for p, (offsets, values) in messages.items():
                ticks = self._decode(p, offsets, values)
                if len(ticks) >= wanted[p]:
                    found[p] = ticks
                elif starts[p] > self._low[p]:
                    # After a first look at a topic of single ticks, all that is needed at once.
                    back[p] = max(8 * back[p], wanted[p] + 8)
                    continue
                elif self._low[p] > 0 and 2 * len(ticks) < wanted[p]:
                    raise TopicError(
                        f"topic {self._topic}, partition {p}: what stood before offset {self._high[p]} was deleted (by "
                        "retention or by hand), so where to go on is unknown; drop the market and its topic to begin "
                        "anew"
                    )
                else:
                    found[p] = ticks
                del back[p]
        return found

    def _decode(self, partition: int, offsets: list[int], values: list[bytes]) -> TickColumns:
        if not values:
            return TickColumns.empty()
        try:
            return decode_ticks(values, fingerprint=self._market.fingerprint, partition=partition)
        except MalformedMessage as error:
            place = f"topic {self._topic}, partition {partition}, offset {offsets[error.index or 0]}"
            raise MalformedMessage(
                f"{place}: {error}. If the topic is left over from an older market of this name, delete it"
            ) from None


def _partition_end(
    topic: str, market: Market, partition: int, numbers: NDArray[np.int64], last: TickColumns | None, offset: int
) -> PartitionEnd:
    prices, variances = market.instruments.initial_price[numbers], market.instruments.initial_variance[numbers]
    if last is None:
        return PartitionEnd(numbers, 0, 0, prices, variances, offset)
    place = f"topic {topic}, partition {partition}"
    columns = np.searchsorted(numbers, last.instrument)
    known = columns < len(numbers)
    known[known] = numbers[columns[known]] == last.instrument[known]
    if not known.all():
        number = int(last.instrument[np.flatnonzero(~known)[0]])
        raise TopicError(f"{place}: it holds a tick of instrument {number}, which does not belong there")
    ranks = last.sequence * len(numbers) + columns
    breaks = np.flatnonzero(np.diff(ranks) != 1) + 1
    if len(breaks):
        raise TopicError(
            f"{place}: step {last.sequence[breaks[0]]} of instrument {last.instrument[breaks[0]]} does not follow on "
            f"from what stands before it: another program writes to it. `pseudofeed verify {market.name}` shows more"
        )
    newest = slice(max(0, len(last) - len(numbers)), None)
    prices[columns[newest]], variances[columns[newest]] = last.price[newest], last.variance[newest]
    sequence, ahead = int(last.sequence[-1]), (int(columns[-1]) + 1) % len(numbers)
    end = PartitionEnd(numbers, sequence - (ahead > 0), ahead, prices, variances, offset)
    if len(last) >= 2 * len(numbers):
        before = slice(len(last) - 2 * len(numbers), len(last) - len(numbers))
        _check_last_step(
            place, market, end, *(part[before][np.argsort(columns[before])] for part in (last.price, last.variance))
        )
    return end


def _check_last_step(
    place: str, market: Market, end: PartitionEnd, prices: NDArray[np.float64], variances: NDArray[np.float64]
) -> None:
    """Walk each instrument from its last tick but one, (M,), to its last."""
    parts = ((slice(0, end.ahead), end.step), (slice(end.ahead, None), end.step - 1))
    for part, step in parts:
        numbers = end.numbers[part]
        if len(numbers) == 0:
            continue
        try:
            state = MarketState(step, prices[part], variances[part], np.zeros(len(market.factors.names)))
            block = next(stream(market, start_step=step + 1, steps=1, instruments=numbers, state=state, threads=1))
        except (ValueError, SimulationError) as error:
            raise MalformedMessage(f"{place}: step {step} can't be gone on from: {error}") from None
        found = (end.prices[part].tobytes(), end.variances[part].tobytes())
        if found != (block.prices[0].tobytes(), block.variances[0].tobytes()):
            raise TopicError(
                f"{place}: step {step + 1} is not what the simulation makes of step {step}: it was altered, or written "
                f"by another version of pseudofeed. `pseudofeed verify {market.name}` shows where; delete the topic to "
                "begin anew"
            )
