"""What a client reads is what the simulation said, to the bit."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import redis

from live.pipe import START, Until, bits, fed_market, feed_steps
from pseudofeed.bus.markets import MarketRecord, read_market
from pseudofeed.cache.keys import quote_key
from pseudofeed.cache.worker import cache_market
from pseudofeed.encode import instrument_partitions
from pseudofeed.errors import DamagedQuote, LibraryError, UnknownMarket, UnknownSymbol
from pseudofeed.market import Market
from pseudofeed.publish.feed import feed
from pseudofeed.query.client import Client, connect
from pseudofeed.query.stored import BARS, NEWEST, TICKS
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.store import history
from pseudofeed.store.chunks import Chunks
from pseudofeed.store.connection import open_connection
from pseudofeed.store.registry import read_stored_market
from pseudofeed.store.schema import find_tier
from pseudofeed.store.settings import StoreSettings, change_settings
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
    del client
    paths = record.market.simulate(steps=STEPS)
    with open_connection(store_connections, application="test", writer=False) as connection:
        market = read_stored_market(connection, record.name)
        window = history.read_window(
            connection, market, TICK, start_ns=int(paths.time[101]), end_ns=int(paths.time[151])
        )
    assert (window.number == np.repeat(np.arange(20), 50)).all()
    assert (window.time == np.tile(paths.time[101:151], 20)).all()
    assert (bits(window["price"]) == bits(paths.prices[101:151].T.ravel())).all()
    assert (bits(window["variance"]) == bits(paths.variances[101:151].T.ravel())).all()


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
    assert (bits(quotes["open"].to_numpy()) == bits(paths.prices[1])).all()
    assert (bits(quotes["high"].to_numpy()) == bits(paths.prices[1:].max(axis=0))).all()
    arrays = client.latest(two, arrays=True)
    assert arrays.symbols == two
    assert (arrays.time == paths.time[STEPS]).all()
    assert (bits(arrays.low) == bits(paths.prices[1:, [7, 2]].min(axis=0))).all()


def test_a_damaged_quote_is_named(client: Client, record: MarketRecord, store_connections: Connections) -> None:
    cache_market(record, store_connections, Until())
    symbol = record.market.symbols[3]
    key = quote_key(record.name, int(instrument_partitions(record.market.symbols, record.partitions)[3]), symbol)
    with redis.Redis.from_url(store_connections.require_redis(), decode_responses=True) as server:
        server.hset(key, "price", "rubbish")
        for symbols in (symbol, None):
            with pytest.raises(DamagedQuote, match=r"field price: found 'rubbish'") as caught:
                client.latest(symbols)
            assert key in str(caught.value)
        server.delete(key)
        server.set(key, "no hash")
        for symbols in (symbol, None):
            with pytest.raises(DamagedQuote, match=symbol):
                client.latest(symbols)
        assert client.latest(record.market.symbols[4])["sequence"].to_numpy()[0] == STEPS
        # Ticks repair it.
        feed_steps(store_connections, record, first=STEPS + 1, steps=1)
        cache_market(record, store_connections, Until())
        assert (client.latest()["sequence"] == STEPS + 1).all()
        # A server that has come back with older quotes does not take the client back.
        server.hset(key, mapping={"sequence": "7", "price": "1.0"})
        assert client.latest(symbol)["sequence"].to_numpy()[0] == STEPS + 1
        assert (client.latest()["sequence"] == STEPS + 1).all()


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


def test_simulated_ticks_and_factors_are_the_stores(client: Client, record: MarketRecord) -> None:
    symbol, start, end = record.market.symbols[5], "2026-03-02 14:31:00", "2026-03-02 14:32:30.5"
    stored, simulated = client.ticks(symbol, start, end), client.ticks(symbol, start, end, source="simulation")
    assert len(stored) == 91
    assert stored.equals(simulated)
    assert (bits(stored["price"].to_numpy()) == bits(simulated["price"].to_numpy())).all()
    beyond = client.ticks(symbol, "2026-03-02 14:40", "2026-03-02 14:40:10", source="simulation", arrays=True)
    paths = record.market.simulate(steps=620)
    assert (bits(beyond.price) == bits(paths.prices[600:610, 5])).all()
    assert len(client.ticks(symbol, None, START, source="simulation")) == 0
    assert len(client.ticks(symbol, None, "2026-03-02T14:30:01.5Z", source="simulation")) == 1
    factors = client.factors("2026-03-02 14:30:05", "2026-03-02 14:30:08", source="simulation")
    assert (bits(factors["level"].to_numpy()) == bits(paths.factor_levels[5:8])).all()
    assert (bits(factors["increment"].to_numpy()) == bits(paths.factor_increments[4:7])).all()
    with pytest.raises(ValueError, match="end"):
        client.ticks(symbol, source="simulation")
    with pytest.raises(ValueError, match="source"):
        client.ticks(symbol, source="simulated")  # type: ignore[call-overload]


def test_stored_factors_are_the_simulations(store_connections: Connections, market_name: str) -> None:
    market = Market.sample(instruments=4, factors=3, seed=3, name=market_name, step="1s", start=START)
    feed(market, store_connections, Until(), steps=120, partitions=1)
    store_market(read_market(store_connections.require_kafka(), market_name), store_connections, Until())
    with connect(market_name, connections=store_connections) as client:
        stored = client.factors()
        assert len(stored) == 120
        assert stored.equals(client.factors(end="2026-03-02 14:32:00.5", source="simulation"))
        part = client.factors("2026-03-02 14:30:10", "2026-03-02 14:30:20")
        assert part.equals(stored.iloc[9:19])
        assert len(client.factors("2027-01-01")) == 0


def test_bars_are_those_of_the_ticks(client: Client, record: MarketRecord) -> None:
    symbol = record.market.symbols[4]
    ticks = client.ticks(symbol)
    for every, rule in (("1min", "1min"), ("7s", "7s"), (datetime.timedelta(hours=1), "1h"), ("1500ms", "1500ms")):
        bars = client.bars(symbol, every)
        right = ticks["price"].resample(rule, origin="epoch").ohlc()
        counts = ticks["price"].resample(rule, origin="epoch").count()
        assert list(bars.columns) == ["Open", "High", "Low", "Close", "Volume"]
        assert (bars.index == right.index[counts > 0]).all()
        assert str(bars.index.dtype) == "datetime64[ns, UTC]"
        assert (bits(bars[["Open", "High", "Low", "Close"]].to_numpy()) == bits(right[counts > 0].to_numpy())).all()
        assert (bars["Volume"] == counts[counts > 0]).all()
    # Whole bars that open within start and end, wherever in a bar those lie.
    inside = client.bars(symbol, "1min", "2026-03-02 14:30:30", "2026-03-02 14:32:30")
    assert inside.equals(client.bars(symbol, "1min").iloc[1:3])
    assert (inside["Volume"] == 60).all()
    assert len(client.bars(symbol, "1min", "2027-01-01")) == 0
    for wrong in ("1 fortnight", "100ns", datetime.timedelta(0)):
        with pytest.raises(ValueError, match="every"):
            client.bars(symbol, wrong)


def test_arrow_tables_have_the_same_bits(client: Client, record: MarketRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    symbol, start, end = record.market.symbols[9], "2026-03-02 14:31:00", "2026-03-02 14:32:30.5"
    frame = client.ticks(symbol, start, end)
    schemas = []
    for source in ("store", "simulation"):
        table = client.ticks(symbol, start, end, source=source, arrow=True)
        assert table.column_names == ["time", "price", "variance"]
        assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
        schemas.append(table.schema)
        read = table.to_pandas().set_index("time")
        assert (read.index == frame.index).all()
        assert (bits(read["price"].to_numpy()) == bits(frame["price"].to_numpy())).all()
    assert schemas[0].equals(schemas[1], check_metadata=True)
    bars = client.bars(symbol, "1min", arrow=True)
    assert bars.column_names == ["opening", "open", "high", "low", "close", "ticks"]
    assert (bars["close"].to_numpy() == client.bars(symbol, "1min")["Close"].to_numpy()).all()
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(LibraryError, match=r"pseudofeed\[arrow\]"):
        client.ticks(symbol, arrow=True)


def test_newest_stored_ticks(client: Client, record: MarketRecord) -> None:
    paths = record.market.simulate(steps=STEPS)
    newest = client.newest_stored()
    assert sorted(newest.index) == sorted(record.market.symbols)
    assert (pd.DatetimeIndex(newest["time"]).asi8 == paths.time[STEPS]).all()
    assert newest["price"][record.market.symbols[2]] == paths.prices[STEPS, 2]
    assert list(client.newest_stored([record.market.symbols[2]]).index) == [record.market.symbols[2]]


def test_queries_touch_one_chunk_by_its_index(
    client: Client, record: MarketRecord, store_connections: Connections
) -> None:
    """Six days of ticks in chunks of a day, and an hour of the fourth."""
    del client
    begin = pd.Timestamp("2027-01-04", tz="UTC")
    with open_connection(store_connections, application="test", writer=True) as connection:
        market = read_stored_market(connection, record.name)
        change_settings(connection, market, StoreSettings(chunk_length="1d"))
        chunks = Chunks(find_tier(connection), TICK, market)
        chunks.make(connection, np.array([(begin + pd.Timedelta(days=day)).value for day in range(6)]))
        connection.execute(
            """INSERT INTO tick SELECT %s + s * interval '30 seconds', i, 1, 1
               FROM generate_series(0, 2880 * 6 - 1) s, generate_series(1, 20) i""",
            (begin.to_pydatetime(),),
        )
        connection.execute("ANALYZE tick")
        values = {
            "id": 7,
            "ids": [3, 7],
            "every": 60_000_000,
            "market": market.market_id,
            "start": "2027-01-07 05:00+00",
            "end": "2027-01-07 06:00+00",
        }
        for query in (TICKS, BARS):
            plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {query}".encode(), values))
            tables = {found for found in re.findall(r" on (\w+)", plan) if not found.endswith(("_idx", "_pkey"))}
            tables.discard("market_close")
            assert len(tables) == 1, plan
            assert "instrument_id_time_idx" in plan
            assert "Seq Scan" not in plan
        # The newest chunk only is read, a row of it for each instrument.
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN (ANALYZE) {NEWEST}".encode(), values))
        assert "Seq Scan" not in plan
        executed = [line for line in plan.splitlines() if "Index Scan" in line and "never executed" not in line]
        assert len(executed) == 1, plan
        assert re.search(r"rows=1(\.00)? loops=2", executed[0]), plan
