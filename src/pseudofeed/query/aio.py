"""The client on an event loop. Pushed quotes come through redis.asyncio. For all other methods, an ordinary client runs
in a thread, one query per server at a time. So there is one implementation of reading, not two.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import pandas as pd
import redis

from pseudofeed.cache.connection import cache_error, open_async_redis
from pseudofeed.cache.subscriber import pushed_quotes_async
from pseudofeed.market import Market
from pseudofeed.query.client import Client, connect
from pseudofeed.query.frames import QuoteArrays, quote_frame
from pseudofeed.settings import Connections
from pseudofeed.times import Every, Moment

__all__ = ["AsyncClient", "connect_async"]

_T = TypeVar("_T")


def connect_async(market: str, *, connections: Connections | None = None) -> AsyncClient:
    """`async with connect_async("demo") as client`: an AsyncClient for the market. Entering it raises the errors of
    `connect`."""
    return AsyncClient(market, connections)


class AsyncClient:
    """Reads one market like `Client`, with the same arguments, results and errors. Any number of tasks may use it."""

    def __init__(self, market: str, connections: Connections | None) -> None:
        self._name, self._connections = market, connections or Connections.resolve()
        self._client: Client | None = None
        self._redis_lock, self._store_lock = asyncio.Lock(), asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._client = await asyncio.to_thread(connect, self._name, connections=self._connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, after the queries in progress."""
        async with self._redis_lock, self._store_lock:
            await asyncio.to_thread(self._entered.close)

    @property
    def market(self) -> Market:
        return self._entered.market

    def instruments(self) -> pd.DataFrame:
        """Queries no server, so there is nothing to await."""
        return self._entered.instruments()

    async def latest(self, symbols: str | Sequence[str] | None = None, *, arrays: bool = False) -> Any:
        return await self._ask(self._redis_lock, lambda client: client.latest(symbols, arrays=arrays))

    async def newest_stored(self, symbols: str | Sequence[str] | None = None) -> pd.DataFrame:
        return await self._ask(self._store_lock, lambda client: client.newest_stored(symbols))

    async def ticks(self, symbol: str, start: Moment | None = None, end: Moment | None = None, **options: Any) -> Any:
        return await self._ask(self._store_lock, lambda client: client.ticks(symbol, start, end, **options))

    async def bars(
        self, symbol: str, every: Every, start: Moment | None = None, end: Moment | None = None, **options: Any
    ) -> Any:
        return await self._ask(self._store_lock, lambda client: client.bars(symbol, every, start, end, **options))

    async def factors(self, start: Moment | None = None, end: Moment | None = None, **options: Any) -> pd.DataFrame:
        return await self._ask(self._store_lock, lambda client: client.factors(start, end, **options))

    async def quotes(self, symbols: str | Sequence[str] | None = None, *, arrays: bool = False) -> AsyncIterator[Any]:
        client, reader, wanted = self._entered.push_reader(symbols)
        pushing = open_async_redis(self._connections, name="pseudofeed-client")
        try:
            async for found in pushed_quotes_async(pushing, reader, wanted):
                quotes = QuoteArrays.of(self.market.symbols, found)
                yield quotes if arrays else quote_frame(quotes)
        except redis.RedisError as problem:
            raise cache_error(problem, self._connections) from None
        finally:
            await pushing.aclose()
            client.close()

    def __repr__(self) -> str:
        return f"<asynchronous pseudofeed client of market {self._name}: {self._connections!r}>"

    @property
    def _entered(self) -> Client:
        if self._client is None:
            raise RuntimeError("an AsyncClient is used within `async with`")
        return self._client

    async def _ask(self, lock: asyncio.Lock, question: Callable[[Any], _T]) -> _T:
        client = self._entered
        async with lock:
            # Shielded: a cancelled task must not pass the connection to the next one before its answer has arrived.
            asking = asyncio.ensure_future(asyncio.to_thread(question, client))
            try:
                return await asyncio.shield(asking)
            except asyncio.CancelledError:
                await asyncio.wait([asking])
                raise
