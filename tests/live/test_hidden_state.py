"""A scheme with a number of each instrument that no tick shows (tests/hidden_scheme.py): feed, resuming, store,
backfill, verify and client work with it, and nothing but the simulation knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from hidden_scheme import with_momentum
from live.pipe import Until
from pseudofeed.bus.markets import read_market
from pseudofeed.market import Market
from pseudofeed.operate.control import SignalControl
from pseudofeed.publish import checkpoint
from pseudofeed.publish.feed import feed
from pseudofeed.query.client import connect
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.run import backfill_market
from pseudofeed.store.worker import store_market
from pseudofeed.verify import verify_market

STEPS = 300


@pytest.fixture
def market(market_name: str) -> Iterator[Market]:
    with with_momentum() as scheme:
        specification = dict(Market.sample(instruments=9, factors=2, name=market_name).specification)
        specification["simulation"] = {**specification["simulation"], "scheme": scheme}
        yield Market.from_specification(specification)


def test_what_no_tick_shows_goes_all_the_way(
    market: Market, plain_connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "WALK_SECONDS", 0.0)
    for steps in (100, 250):  # the second feed goes on from the state that the first has stored
        feed(market, plain_connections, SignalControl(), steps=steps)
    record = read_market(plain_connections.require_kafka(), market.name)
    store_market(record, plain_connections, Until())
    backfill_market(record.market, plain_connections, Until(), end=str(STEPS))
    feed(market, plain_connections, SignalControl(), steps=STEPS)
    report = verify_market(record, plain_connections, stages=("kafka", "postgres"))
    assert report.equal
    assert report.steps == STEPS
    assert report.stages["kafka_state"].ticks == 1

    paths = market.simulate(STEPS)
    symbol = market.symbols[4]
    with connect(market.name, connections=replace(plain_connections, redis=None)) as client:
        end = int(paths.time[-1]) + 1
        for ticks in (client.ticks(symbol), client.ticks(symbol, end=end, source="simulation")):
            assert ticks["price"].to_numpy().tobytes() == np.ascontiguousarray(paths.prices[1:, 4]).tobytes()
