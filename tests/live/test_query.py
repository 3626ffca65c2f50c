"""What a client reads is what the simulation said, to the bit."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from live.pipe import Until, bits, fed_market
from pseudofeed.cache.worker import cache_market
from pseudofeed.errors import UnknownMarket, UnknownSymbol
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.query.client import Client, connect
from pseudofeed.settings import Connections
from pseudofeed.store import history
from pseudofeed.store.worker import store_market

STEPS = 300


@pytest.fixture
def record(store_connections: Connections, market_name: str) -> MarketRecord:
    record = fed_market(store_connections, market_name, steps=STEPS)
    store_market(record, store_connections, Until())
    return record


@pytest.fixture
def client(store_connections: Connections, record: MarketRecord) -> Iterator[Client]:
    with connect(record.name, connections=store_connections) as client:
        yield client


def test_ticks_are_the_simulations(client: Client, record: MarketRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = record.market.simulate(steps=STEPS)
    monkeypatch.setattr(history, "PAGE_ROWS", 70)
    for number in (0, 19):
        ticks = client.ticks(record.market.symbols[number])
        assert ticks.index.name == "time"
        assert str(ticks.index.dtype) == "datetime64[ns, UTC]"
        assert list(ticks.columns) == ["price", "variance"]
        assert (pd.DatetimeIndex(ticks.index).asi8 == paths.time[1:]).all()
        assert (bits(ticks["price"].to_numpy()) == bits(paths.prices[1:, number])).all()
        assert (bits(ticks["variance"].to_numpy()) == bits(paths.variances[1:, number])).all()


def test_start_is_within_and_end_is_not(client: Client, record: MarketRecord) -> None:
    symbol = record.market.symbols[3]
    start, end = pd.Timestamp("2026-03-02 14:30:10", tz="UTC"), pd.Timestamp("2026-03-02 14:30:20", tz="UTC")
    for first, last in (
        (start, end),
        (start.tz_convert("America/New_York"), end),
        ("2026-03-02 14:30:10", "2026-03-02T15:30:20+01:00"),
        (datetime.datetime(2026, 3, 2, 14, 30, 10), end.to_pydatetime()),
        (int(start.value), np.datetime64("2026-03-02T14:30:20")),
        (int(start.value) - 1, int(end.value)),
        (int(start.value), int(end.value) - 1),
    ):
        index = client.ticks(symbol, first, last).index
        assert (len(index), index[0], index[-1]) == (10, start, end - pd.Timedelta("1s"))
    assert len(client.ticks(symbol, int(start.value) + 1, int(start.value) + 2)) == 0
    with pytest.raises(ValueError, match="start"):
        client.ticks(symbol, "yesterday-ish")


def test_a_window_is_ordered_by_instrument_and_time(
    client: Client, record: MarketRecord, store_connections: Connections
) -> None:
    from pseudofeed.store.connection import open_connection
    from pseudofeed.store.registry import read_market

    del client
    paths = record.market.simulate(steps=STEPS)
    with open_connection(store_connections, application="test", writer=False) as connection:
        market = read_market(connection, record.name)
        window = history.read_window(connection, market, start_ns=int(paths.time[101]), end_ns=int(paths.time[151]))
    assert (window.instrument == np.repeat(np.arange(20), 50)).all()
    assert (window.time == np.tile(paths.time[101:151], 20)).all()
    assert (bits(window.price) == bits(paths.prices[101:151].T.ravel())).all()
    assert (bits(window.variance) == bits(paths.variances[101:151].T.ravel())).all()


def test_latest_is_the_simulations(client: Client, record: MarketRecord, store_connections: Connections) -> None:
    assert len(client.latest()) == 0
    cache_market(record, store_connections, Until())
    paths = record.market.simulate(steps=STEPS)
    quotes = client.latest()
    assert tuple(quotes.index) == record.market.symbols
    assert (quotes["sequence"] == STEPS).all()
    assert (pd.DatetimeIndex(quotes["time"]).asi8 == paths.time[STEPS]).all()
    assert (bits(quotes["price"].to_numpy()) == bits(paths.prices[STEPS])).all()
    assert (bits(quotes["variance"].to_numpy()) == bits(paths.variances[STEPS])).all()
    two = [record.market.symbols[7], record.market.symbols[2]]
    assert list(client.latest(two).index) == two
    assert client.latest(two[0])["price"].to_numpy()[0] == paths.prices[STEPS, 7]


def test_instruments_carry_their_parameters(client: Client, record: MarketRecord) -> None:
    instruments = client.instruments()
    assert tuple(instruments.index) == record.market.symbols
    assert (instruments["kappa"].to_numpy() == record.market.instruments.kappa).all()
    factor = record.market.factors.names[1]
    assert (instruments[f"loading_{factor}"].to_numpy() == record.market.instruments.factor_loadings[:, 1]).all()


def test_unknown_names_are_errors_with_help(
    client: Client, record: MarketRecord, store_connections: Connections
) -> None:
    with pytest.raises(UnknownSymbol, match=record.market.symbols[0]):
        client.ticks(record.market.symbols[0] + "X")
    with pytest.raises(UnknownSymbol):
        client.latest("'; DROP TABLE tick; --")
    with pytest.raises(UnknownMarket):
        connect("no-such-market", connections=store_connections)
