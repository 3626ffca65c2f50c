"""`connect(market="demo")`: a market's quotes and history as DataFrames.

A client needs the servers of what it is asked for only: Redis for `latest`, PostgreSQL for `ticks`; Kafka only to
learn what the market is, where no store is set or knows it. Connections are opened when first used. Symbols are data:
they travel as parameters, never inside SQL or key patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np
import pandas as pd
import psycopg
import redis

from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.keys import quote_key
from pseudofeed.cache.reader import read_quotes
from pseudofeed.encode import instrument_partitions
from pseudofeed.errors import UnknownMarket
from pseudofeed.market import Market
from pseudofeed.publish.markets import MarketRecord, read_market
from pseudofeed.query.times import Moment, nanoseconds
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.history import read_instrument
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.registry import read_market as read_stored_market

__all__ = ["Client", "connect"]

_T = TypeVar("_T")


def connect(market: str, *, connections: Connections | None = None) -> Client:
    """A client for the market of that name; a context manager.

    connections: by default as `Connections.resolve()` finds them. Raises UnknownMarket listing the known names,
    ServerError where the server that knows the market does not answer, SettingsError where none is set.
    """
    return Client(market, connections or Connections.resolve())


class Client:
    """Reads one market. Not for several threads at once: give each its own."""

    def __init__(self, market: str, connections: Connections) -> None:
        self._connections = connections
        self._postgres: psycopg.Connection | None = None
        self._redis: redis.Redis | None = None
        self._stored: StoredMarket | None = None
        try:
            self._record = self._find(market)
        except BaseException:
            self.close()
            raise
        self._market = self._record.market
        self._partitions = instrument_partitions(self._market.symbols, self._record.partitions).tolist()

    @property
    def market(self) -> Market:
        return self._market

    def latest(self, symbols: str | Sequence[str] | None = None) -> pd.DataFrame:
        """The newest quotes, from Redis: of one symbol, several, or (None) all, in that order.

        Index: symbol. Columns: time (UTC), sequence (the step, int64), price and variance (per year; float64, the exact
        doubles). An instrument that has no quote yet has no row. Raises UnknownSymbol, ServerError, SettingsError.
        """
        names = self._symbols(symbols)
        numbers = [self._market.number_of(name) for name in names]
        if self._redis is None:
            self._redis = open_redis(self._connections, name="pseudofeed-client")
        try:
            quotes = read_quotes(
                self._redis,
                [quote_key(self._record.name, self._partitions[n], self._market.symbols[n]) for n in numbers],
            )
        except redis.RedisError as problem:
            raise cache_error(problem, self._connections) from None
        return pd.DataFrame(
            {
                "time": pd.DatetimeIndex(quotes.time.view("M8[ns]"), tz="UTC"),
                "sequence": quotes.sequence,
                "price": quotes.price,
                "variance": quotes.variance,
            },
            index=pd.Index([names[at] for at in quotes.index], name="symbol", dtype="object"),
        )

    def ticks(self, symbol: str, start: Moment | None = None, end: Moment | None = None) -> pd.DataFrame:
        """The stored ticks of one instrument with start <= time < end, by time.

        start, end: a text, datetime or Timestamp (UTC where it has no time zone), or ns since the epoch as an int;
        None is open. Index: time, a DatetimeIndex in UTC. Columns: price and variance (per year; float64, the exact
        doubles). Raises UnknownSymbol, UnknownMarket if the store does not have the market, ServerError,
        SettingsError, ValueError.
        """
        number = self._market.number_of(symbol)
        start_ns = None if start is None else nanoseconds(start, "start")
        end_ns = None if end is None else nanoseconds(end, "end")

        def read(connection: psycopg.Connection) -> pd.DataFrame:
            if self._stored is None:
                self._stored = read_stored_market(connection, self._record.name)
            found = read_instrument(connection, self._stored, number, start_ns=start_ns, end_ns=end_ns)
            index = pd.DatetimeIndex(found.time.view("M8[ns]"), tz="UTC", name="time")
            return pd.DataFrame({"price": found.price, "variance": found.variance}, index=index)

        return self._from_store(read)

    def instruments(self) -> pd.DataFrame:
        """The market's instruments, index symbol: number, partition, the parameters (rates and variances per year), and
        `loading_<factor>` for each factor."""
        parameters = self._market.instruments
        columns: dict[str, object] = {"number": np.arange(len(self._market.symbols)), "partition": self._partitions}
        for name in (
            "initial_price", "initial_variance", "drift", "kappa", "theta", "xi", "rho", "idiosyncratic_volatility",
        ):  # fmt: skip
            columns[name] = getattr(parameters, name)
        for k, factor in enumerate(self._market.factors.names):
            columns[f"loading_{factor}"] = parameters.factor_loadings[:, k]
        return pd.DataFrame(columns, index=pd.Index(self._market.symbols, name="symbol", dtype="object"))

    def close(self) -> None:
        """Let the connections go; the client can be used no more."""
        if self._postgres is not None:
            self._postgres.close()
        if self._redis is not None:
            self._redis.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<pseudofeed client of market {self._record.name}: {self._connections!r}>"

    def _symbols(self, symbols: str | Sequence[str] | None) -> Sequence[str]:
        if symbols is None:
            return self._market.symbols
        return [symbols] if isinstance(symbols, str) else list(symbols)

    def _find(self, market: str) -> MarketRecord:
        """The market's record from the store, else from Kafka."""
        if self._connections.postgres is None:
            return read_market(self._connections.require_kafka(), market)
        try:
            self._stored = self._from_store(lambda connection: read_stored_market(connection, market))
            return self._stored.record
        except UnknownMarket:
            if self._connections.kafka is None:
                raise
            return read_market(self._connections.require_kafka(), market)

    def _from_store(self, read: Callable[[psycopg.Connection], _T]) -> _T:
        """What `read` finds; once again on a new connection where the old one had died since it was last used."""
        fresh = self._postgres is None
        try:
            if self._postgres is None:
                self._postgres = open_connection(self._connections, application="pseudofeed client", writer=False)
            return read(self._postgres)
        except psycopg.errors.UndefinedTable:
            raise UnknownMarket(
                f"there are no markets in PostgreSQL at {self._connections.describe_postgres()} yet: "
                f"`pseudofeed store NAME` or `pseudofeed run` brings one there"
            ) from None
        except psycopg.Error as problem:
            dead = self._postgres is not None and (self._postgres.closed or self._postgres.broken)
            if fresh or not dead:
                raise store_error(problem, self._connections) from None
        self._postgres = None
        return self._from_store(read)
