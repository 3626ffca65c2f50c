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

from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode import Codec, codec_of, instrument_partitions
from pseudofeed.errors import MalformedMessage, SimulationError, TopicError
from pseudofeed.records import FACTOR, TICK, Columns
from pseudofeed.simulate.paths import MarketState
from pseudofeed.simulate.stream import stream, stream_factors

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["FactorEnd", "PartitionEnd", "TopicEnd", "read_end"]

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
class FactorEnd:
    """The factor topic holds the steps up to `step` (0: none), after which the levels are these, (K,); all of it before
    `offset`."""

    step: int
    levels: NDArray[np.float64]
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class TopicEnd:
    """All partitions' ends, in their order, and the factor topic's."""

    partitions: tuple[PartitionEnd, ...]
    factors: FactorEnd

    @property
    def newest(self) -> int:
        """The newest step of which anything is there."""
        return max(self.factors.step, *(end.newest for end in self.partitions))

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


def read_end(kafka: Mapping[str, str], market: Market, partitions: int, *, settle: bool = True) -> TopicEnd:
    """The end of each partition of a market's topics. The last messages are checked: lengths, checksums, fingerprint,
    partition, that they follow on from each other, and that the last step is what the simulation makes of the one
    before.

    settle: wait until nobody writes. Raises TopicError naming the topic where another feed goes on writing, where
    retention took what was there, or where the data is another market's; MalformedMessage naming partition and
    offset.
    """
    ticks, factors = TICK.topic_of(market.name), FACTOR.topic_of(market.name)
    of_instrument = instrument_partitions(market.symbols, partitions)
    members = [np.flatnonzero(of_instrument == p) for p in range(partitions)]
    with TopicReader(kafka) as reader:
        ranges = _ranges(reader, {ticks: partitions, factors: 1}, settle=settle)
        last_ticks = _read_back(
            reader,
            ticks,
            ranges[ticks],
            [2 * len(numbers) for numbers in members],
            codec_of(TICK, market, market.fingerprint),
        )
        last_factors = _read_back(
            reader,
            factors,
            ranges[factors],
            [2 * len(market.factors.names)],
            codec_of(FACTOR, market, market.fingerprint),
        )
    ends = (
        _partition_end(ticks, market, p, members[p], last_ticks.get(p), int(ranges[ticks].high[p]))
        for p in range(partitions)
    )
    return TopicEnd(tuple(ends), _factor_end(factors, market, last_factors.get(0), int(ranges[factors].high[0])))


@dataclass(frozen=True, slots=True, eq=False)
class _Range:
    """(P,) each: the first offset that a topic holds, and the next one to be written."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]


def _ranges(reader: TopicReader, topics: Mapping[str, int], *, settle: bool) -> dict[str, _Range]:
    """Of each topic (name -> partitions), once nobody writes to any."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    before: dict[str, _Range] | None = None
    while True:
        found = {topic: _Range(*reader.watermarks(topic, partitions)) for topic, partitions in topics.items()}
        if not settle or not any(own.high.any() for own in found.values()):
            return found
        moving = [t for t in topics if before is None or not np.array_equal(before[t].high, found[t].high)]
        if not moving:
            return found
        if time.monotonic() > deadline:
            raise TopicError(
                f"another feed is writing to topic {moving[0]}: a market has one feed at a time; stop the other one"
            )
        before = found
        time.sleep(SETTLE_SECONDS)


def _read_back(reader: TopicReader, topic: str, offsets: _Range, wanted: list[int], codec: Codec) -> dict[int, Columns]:
    """The decoded last messages of each partition that was ever written to: at least `wanted` rows of them, or all
    where there are not so many."""
    found: dict[int, Columns] = {}
    low, high = offsets.low, offsets.high
    back = {p: 1 for p in range(len(wanted)) if high[p] > 0}
    while back:
        starts = {p: int(max(low[p], high[p] - count)) for p, count in back.items()}
        messages: dict[int, tuple[list[int], list[bytes]]] = {p: ([], []) for p in starts}
        for message in reader.read(topic, starts):
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset < high[partition]:
                messages[partition][0].append(offset)
                messages[partition][1].append(message.value() or b"")
        for p, (places, values) in messages.items():
            try:
                rows = codec.decode(values, p)
            except MalformedMessage as error:
                raise MalformedMessage(
                    f"topic {topic}, partition {p}, offset {places[error.index or 0]}: {error}. If the topic is left "
                    "over from an older market of this name, delete it"
                ) from None
            if len(rows) < wanted[p] and starts[p] > low[p]:
                # After a first look at a topic of single ticks, all that is needed at once.
                back[p] = max(8 * back[p], wanted[p] + 8)
                continue
            if low[p] > 0 and 2 * len(rows) < wanted[p]:
                raise TopicError(
                    f"topic {topic}, partition {p}: what stood before offset {high[p]} was deleted (by retention or by "
                    "hand), so where to go on is unknown; drop the market and its topics to begin anew"
                )
            del back[p]
            if len(rows):
                found[p] = rows
    return found


def _factor_end(topic: str, market: Market, last: Columns | None, offset: int) -> FactorEnd:
    if last is None:
        return FactorEnd(0, np.zeros(len(market.factors.names)), offset)
    # (T,), (T, K) and (T, K)
    shape = (-1, len(market.factors.names))
    steps = last.sequence[:: shape[1]]
    increments, levels = last["increment"].reshape(shape), last["level"].reshape(shape)
    breaks = np.flatnonzero(np.diff(steps) != 1) + 1
    if len(breaks):
        raise TopicError(
            f"topic {topic}: step {steps[breaks[0]]} does not follow on from what stands before it: another "
            "program writes to it"
        )
    step = int(steps[-1])
    if len(steps) > 1:
        block = next(stream_factors(market, start_step=step, steps=1, block_steps=1, levels=levels[-2]))
        found = (increments[-1].tobytes(), levels[-1].tobytes())
        if found != (block.factor_increments[0].tobytes(), block.factor_levels[0].tobytes()):
            raise TopicError(f"topic {topic}: {_not_ours(step, market)}")
    return FactorEnd(step, levels[-1], offset)


def _not_ours(step: int, market: Market) -> str:
    return (
        f"step {step} is not what the simulation makes of step {step - 1}: it was altered, or written by another "
        f"version of pseudofeed. `pseudofeed verify {market.name}` shows where; delete its topics to begin anew"
    )


def _partition_end(
    topic: str, market: Market, partition: int, numbers: NDArray[np.int64], last: Columns | None, offset: int
) -> PartitionEnd:
    prices, variances = market.instruments.initial_price[numbers], market.instruments.initial_variance[numbers]
    if last is None:
        return PartitionEnd(numbers, 0, 0, prices, variances, offset)
    place = f"topic {topic}, partition {partition}"
    columns = np.searchsorted(numbers, last.number)
    known = columns < len(numbers)
    known[known] = numbers[columns[known]] == last.number[known]
    if not known.all():
        number = int(last.number[np.flatnonzero(~known)[0]])
        raise TopicError(f"{place}: it holds a tick of instrument {number}, which does not belong there")
    ranks = last.sequence * len(numbers) + columns
    breaks = np.flatnonzero(np.diff(ranks) != 1) + 1
    if len(breaks):
        raise TopicError(
            f"{place}: step {last.sequence[breaks[0]]} of instrument {last.number[breaks[0]]} does not follow on "
            f"from what stands before it: another program writes to it. `pseudofeed verify {market.name}` shows more"
        )
    newest = slice(max(0, len(last) - len(numbers)), None)
    prices[columns[newest]], variances[columns[newest]] = last["price"][newest], last["variance"][newest]
    sequence, ahead = int(last.sequence[-1]), (int(columns[-1]) + 1) % len(numbers)
    end = PartitionEnd(numbers, sequence - (ahead > 0), ahead, prices, variances, offset)
    if len(last) >= 2 * len(numbers):
        before = slice(len(last) - 2 * len(numbers), len(last) - len(numbers))
        order = np.argsort(columns[before])
        _check_last_step(place, market, end, last["price"][before][order], last["variance"][before][order])
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
            raise TopicError(f"{place}: {_not_ours(step + 1, market)}")
