"""The newest stored state of the simulation against the simulation: a feed that goes on from it must go on right."""

from __future__ import annotations

import numpy as np

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.encode import StateRecord
from pseudofeed.market import Market
from pseudofeed.publish.checkpoint import newest_state
from pseudofeed.records import STATE, Key
from pseudofeed.settings import Connections
from pseudofeed.simulate.state import FACTOR_LEVEL, state_form
from pseudofeed.simulate.stream import advance
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_state"]

_STAGE = "kafka"


def compare_state(record: MarketRecord, connections: Connections, *, last_step: int, tally: StageTally) -> None:
    """Compare the newest whole state up to `last_step` that the topic holds, if it holds one. One that is incomplete,
    damaged or of another version is passed over, as a feed does."""
    market, topic = record.market, STATE.topic_of(record.name)
    version = state_form(market).version
    found = newest_state(
        connections.require_kafka(),
        topic,
        market,
        fits=lambda state: state.version == version and state.step <= last_step,
    )
    if found is None:
        return
    tally.ticks = tally.expected = 1
    difference = _difference(market, found, topic)
    if difference is not None:
        tally.altered = 1
        tally.note(difference)


def _difference(market: Market, found: StateRecord, topic: str) -> Difference | None:
    """The first one."""
    form = state_form(market)

    def differs(of: Key, symbol: str | None, expected: str, seen: str) -> Difference:
        return Difference(
            stage=_STAGE,
            kind="altered",
            what=STATE.name,
            of=of.value,
            market=market.name,
            symbol=symbol,
            step=found.step,
            expected=expected,
            found=seen,
            where=topic,
        )

    shapes = {name: array.shape for name, array in found.arrays.items()}
    if shapes != dict(form.shapes):
        return differs(Key.MARKET, None, str(dict(form.shapes)), str(shapes))
    right = advance(market, None, found.step)
    for name, array in right.arrays.items():
        stored = found.arrays[name]
        wrong = np.flatnonzero(array.view(np.int64) != stored.view(np.int64))
        if len(wrong):
            number = int(wrong[0])
            of = Key.FACTOR if name == FACTOR_LEVEL else Key.INSTRUMENT
            expected, seen = f"{name} {float(array[number])!r}", f"{name} {float(stored[number])!r}"
            return differs(of, of.names(market)[number], expected, seen)
    return None
