"""T5: Redis is killed and flushed; the quotes come back within 5 s, and no reader ever sees one go back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest
import redis

import pseudofeed as pf
from live.own_redis import OwnRedis, eventually
from live.pipe import Until, bits, fed_market, feed_steps
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.cache.worker import cache_market
from pseudofeed.errors import ServerError
from pseudofeed.query import QuoteArrays
from pseudofeed.settings import Connections

KILLS = 5
STEPS_A_KILL = 30


@contextmanager
def _cached(record: MarketRecord, connections: Connections) -> Iterator[None]:
    control = Until(draining=False)
    ended: list[object] = []
    worker = threading.Thread(target=lambda: ended.append(cache_market(record, connections, control)))
    worker.start()
    try:
        yield
    finally:
        control.stopping = True
        worker.join(20)
        assert len(ended) == 1


class _Watch:
    """The newest sequence of each instrument that a reader was given; older ones are kept as what went wrong."""

    def __init__(self, record: MarketRecord) -> None:
        self.newest = dict.fromkeys(record.market.symbols, 0)
        self.back: list[str] = []
        self.items = 0

    def see(self, quotes: QuoteArrays) -> None:
        self.items += 1
        for symbol, sequence in zip(quotes.symbols, quotes.sequence.tolist(), strict=True):
            if sequence < self.newest[symbol]:
                self.back.append(f"{symbol}: {sequence} after {self.newest[symbol]}")
            self.newest[symbol] = sequence

    def reached(self, step: int) -> bool:
        return set(self.newest.values()) == {step}


def _all_reach(step: int, *watches: _Watch) -> None:
    eventually(lambda: all(watch.reached(step) for watch in watches), 5)


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("keeps_data", [False, True])
def test_quotes_survive_kills_and_flushes(
    connections: Connections,
    market_name: str,
    own_redis: Callable[..., OwnRedis],
    repeats: Callable[[int], int],
    keeps_data: bool,
) -> None:
    """Half of the kills and flushes without, half with a Redis that comes back with the data of a moment ago."""
    server = own_redis()
    connections = replace(connections, redis=server.url)
    record = fed_market(connections, market_name, steps=STEPS_A_KILL)
    polled, pushed, awaited = _Watch(record), _Watch(record), _Watch(record)
    ending = threading.Event()

    def poll() -> None:
        with pf.connect(market_name, connections=connections) as client:
            while not ending.is_set():
                try:
                    polled.see(client.latest(arrays=True))
                except ServerError:
                    time.sleep(0.01)

    def push() -> None:
        with pf.connect(market_name, connections=connections) as client:
            for quotes in client.quotes(arrays=True):
                pushed.see(quotes)
                if ending.is_set():
                    return

    async def wait() -> None:
        async with pf.connect_async(market_name, connections=connections) as client:
            async for quotes in client.quotes(arrays=True):
                awaited.see(quotes)
                if ending.is_set():
                    return

    readers = [threading.Thread(target=call, daemon=True) for call in (poll, push, lambda: asyncio.run(wait()))]
    with _cached(record, connections):
        for reader in readers:
            reader.start()
        step = STEPS_A_KILL
        _all_reach(step, polled, pushed, awaited)
        for number in range(repeats(KILLS)):
            if keeps_data:
                server.client.save()
            feed_steps(connections, record, first=step + 1, steps=STEPS_A_KILL)
            step += STEPS_A_KILL
            if number % 2 == keeps_data:
                if keeps_data:
                    _all_reach(step, polled, pushed, awaited)
                server.kill()
                server.start()
            else:
                server.client.flushall()
            _all_reach(step, polled, pushed, awaited)
            with pf.connect(market_name, connections=connections) as client:
                # One without a memory, which may see what the snapshot had, until the worker has written again.
                whole = [step] * len(record.market.symbols)
                eventually(lambda: client.latest(arrays=True).sequence.tolist() == whole, 5)  # noqa: B023
                quotes = client.latest(arrays=True)
            paths = record.market.simulate(steps=step)
            assert (quotes.sequence == step).all()
            assert (bits(quotes.price) == bits(paths.prices[step])).all()
            assert (bits(quotes.open) == bits(paths.prices[1])).all()
            assert (bits(quotes.high) == bits(paths.prices[1:].max(axis=0))).all()
            assert (bits(quotes.low) == bits(paths.prices[1:].min(axis=0))).all()
        ending.set()
        feed_steps(connections, record, first=step + 1, steps=1)
        for reader in readers:
            reader.join(20)
    assert (polled.back, pushed.back, awaited.back) == ([], [], [])
    assert polled.items > pushed.items > KILLS


def test_a_person_may_follow_the_channels(connections: Connections, market_name: str) -> None:
    """Rubbish on a channel is an error that names it, on both kinds of client."""
    record = fed_market(connections, market_name, steps=3, partitions=1)
    cache_market(record, connections, Until())
    with (
        pf.connect(market_name, connections=connections) as client,
        redis.Redis.from_url(connections.require_redis()) as server,
    ):
        pushed = client.quotes(record.market.symbols[:2])
        assert list(next(pushed).index) == list(record.market.symbols[:2])
        server.publish(f"pseudofeed:{{{market_name}.0}}:quotes", "rubbish")
        with pytest.raises(pf.errors.DamagedQuote, match=r"\.0\}:quotes"):
            next(pushed)


def test_the_asynchronous_client_gives_what_the_client_gives(plain_connections: Connections, market_name: str) -> None:
    from pseudofeed.store.worker import store_market

    record = fed_market(plain_connections, market_name, steps=100)
    cache_market(record, plain_connections, Until())
    store_market(record, plain_connections, Until())
    symbol = record.market.symbols[1]
    start, end = "2026-03-02 14:30:10", "2026-03-02 14:31:00"

    async def ask() -> list[object]:
        async with pf.connect_async(market_name, connections=plain_connections) as client:
            cancelled = asyncio.create_task(client.ticks(symbol))
            await asyncio.sleep(0)
            cancelled.cancel()
            answers = await asyncio.gather(
                client.latest(), client.ticks(symbol, start, end), client.bars(symbol, "30s", start, end),
                client.factors(start, end, source="simulation"), client.newest_stored([symbol]),
                client.ticks(symbol, start, end, source="simulation"),
            )  # fmt: skip
            return [*answers, client.instruments()]

    found = asyncio.run(ask())
    with pf.connect(market_name, connections=plain_connections) as client:
        right = [
            client.latest(), client.ticks(symbol, start, end), client.bars(symbol, "30s", start, end),
            client.factors(start, end, source="simulation"), client.newest_stored([symbol]),
            client.ticks(symbol, start, end), client.instruments(),
        ]  # fmt: skip
    for one, other in zip(found, right, strict=True):
        assert isinstance(one, pd.DataFrame)
        assert other.equals(one)
    with pytest.raises(pf.errors.UnknownMarket):
        asyncio.run(pf.connect_async("no-such-market", connections=plain_connections).__aenter__())
