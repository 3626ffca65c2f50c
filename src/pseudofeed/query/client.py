"""`connect(market="demo")`: a market's quotes and history as DataFrames, arrays or Arrow tables.

A client needs only the servers of the methods that are called: Redis for `latest` and `quotes`, PostgreSQL for
`ticks`, `bars` and `factors`, and neither for simulated data. Kafka is needed only for the market's specification, if
no store is set or knows it. Connections are opened on first use. Symbols are never put into SQL or key patterns: they
are looked up, and their numbers are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar, overload

import numpy as np
import pandas as pd
import psycopg
import redis

from pseudofeed.bus.markets import MarketRecord, read_market
from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.keys import channel, quote_key
from pseudofeed.cache.reader import QuoteReader
from pseudofeed.cache.subscriber import Wanted, pushed_quotes
from pseudofeed.encode import instrument_partitions
from pseudofeed.errors import UnknownMarket
from pseudofeed.market import Market
from pseudofeed.market.parameters import PARAMETERS
from pseudofeed.query.arrow import ArrowConnection
from pseudofeed.query.frames import (
    QuoteArrays,
    TickArrays,
    bar_frame,
    factor_frame,
    quote_frame,
    tick_frame,
    tick_table,
)
from pseudofeed.query.simulated import simulated_factors, simulated_ticks
from pseudofeed.query.stored import BARS, TICKS, bars_window, read_bars, read_factors, read_newest, window
from pseudofeed.records import TICK
from pseudofeed.records.arrow import arrow_schema
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.history import read_member
from pseudofeed.store.registry import StoredMarket, read_stored_market
from pseudofeed.times import Every, Moment, bar_length, nanoseconds

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Client", "connect"]

_T = TypeVar("_T")
Source = Literal["store", "simulation"]


def connect(market: str, *, connections: Connections | None = None) -> Client:
    """A client for the market of that name; a context manager.

    connections: by default as `Connections.resolve()` finds them. Raises UnknownMarket listing the known names,
    ServerError if the server that knows the market does not answer, SettingsError if none is set.
    """
    return Client(market, connections or Connections.resolve())


class Client:
    """Reads one market. Not thread-safe: use one client per thread. Times are a text, datetime or Timestamp (UTC if
    without a time zone), or ns since 1970 as an int; None means no limit."""

    def __init__(self, market: str, connections: Connections) -> None:
        self._connections = connections
        self._postgres: psycopg.Connection | None = None
        self._redis: redis.Redis | None = None
        self._arrow = ArrowConnection(connections)
        self._stored: StoredMarket | None = None
        try:
            self._record = self._find(market)
        except BaseException:
            self.close()
            raise
        self._market = self._record.market
        self._partitions = instrument_partitions(self._market.symbols, self._record.partitions).tolist()
        self._all = tuple(range(len(self._partitions)))
        self._reader: QuoteReader | None = None

    @property
    def market(self) -> Market:
        return self._market

    @overload
    def latest(self, symbols: str | Sequence[str] | None = ..., *, arrays: Literal[False] = ...) -> pd.DataFrame: ...
    @overload
    def latest(self, symbols: str | Sequence[str] | None = ..., *, arrays: Literal[True]) -> QuoteArrays: ...
    def latest(self, symbols: str | Sequence[str] | None = None, *, arrays: bool = False) -> pd.DataFrame | QuoteArrays:
        """The newest quotes from Redis of one symbol, several, or (None) all, in that order. They are never older than
        those that this client returned before.

        Index: symbol. Columns: time (UTC), sequence (the step, int64), price, variance (per year), and open, high,
        low of the session up to the quote (float64, the exact doubles; NaN if its beginning is not known). An
        instrument without a quote has no row. arrays: QuoteArrays of the same, at a fraction of the time. Raises
        UnknownSymbol, DamagedQuote, ServerError, SettingsError.
        """
        numbers = self._numbers(symbols)
        try:
            found = self._quote_reader().read(numbers)
        except redis.RedisError as problem:
            raise cache_error(problem, self._connections) from None
        quotes = QuoteArrays.of(self._market.symbols, found)
        return quotes if arrays else quote_frame(quotes)

    @overload
    def quotes(
        self, symbols: str | Sequence[str] | None = ..., *, arrays: Literal[False] = ...
    ) -> Iterator[pd.DataFrame]: ...
    @overload
    def quotes(self, symbols: str | Sequence[str] | None = ..., *, arrays: Literal[True]) -> Iterator[QuoteArrays]: ...
    def quotes(
        self, symbols: str | Sequence[str] | None = None, *, arrays: bool = False
    ) -> Iterator[pd.DataFrame] | Iterator[QuoteArrays]:
        """Quotes as they change, in the form of `latest`: first all, then the changed ones, without end.

        A quote is never followed by an older one of its instrument, even if Redis was flushed or restarted. A slow
        caller skips the quotes that it has missed. Raises as `latest`; after the first quotes, it waits for a server
        that is away.
        """
        client, reader, wanted = self.push_reader(symbols)

        def push() -> Iterator[QuoteArrays]:
            try:
                for found in pushed_quotes(client, reader, wanted):
                    yield QuoteArrays.of(self._market.symbols, found)
            except redis.RedisError as problem:
                raise cache_error(problem, self._connections) from None
            finally:
                client.close()

        return push() if arrays else map(quote_frame, push())

    def push_reader(self, symbols: str | Sequence[str] | None) -> tuple[redis.Redis, QuoteReader, Wanted]:
        """A connection for pushed quotes, with a reader of its own: quotes from `latest` do not count as pushed."""
        wanted = self._wanted(self._numbers(symbols))
        client = open_redis(self._connections, name="pseudofeed-client", on_connect=lambda: None)
        return client, QuoteReader(client, self._keys()), wanted

    def newest_stored(self, symbols: str | Sequence[str] | None = None) -> pd.DataFrame:
        """The newest stored tick of one instrument, several, or (None) all.

        Index: symbol. Columns: time, price, variance. Raises as `ticks`.
        """
        numbers = np.array(self._numbers(symbols), np.intp)
        found = self._from_store(lambda connection: read_newest(connection, self._in_store().instrument_ids[numbers]))
        names = [self._market.symbols[number] for number in found[0] - self._in_store().instrument_ids[0]]
        frame = tick_frame(TickArrays(*found[1:]))
        return frame.reset_index().set_index(pd.Index(names, name="symbol", dtype="object"))

    @overload
    def ticks(
        self, symbol: str, start: Moment | None = ..., end: Moment | None = ..., *, source: Source = ...,
        arrays: Literal[False] = ..., arrow: Literal[False] = ...,
    ) -> pd.DataFrame: ...  # fmt: skip
    @overload
    def ticks(
        self, symbol: str, start: Moment | None = ..., end: Moment | None = ..., *, source: Source = ...,
        arrays: Literal[True], arrow: Literal[False] = ...,
    ) -> TickArrays: ...  # fmt: skip
    @overload
    def ticks(
        self, symbol: str, start: Moment | None = ..., end: Moment | None = ..., *, source: Source = ...,
        arrays: Literal[False] = ..., arrow: Literal[True],
    ) -> pa.Table: ...  # fmt: skip
    def ticks(
        self,
        symbol: str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: Source = "store",
        arrays: bool = False,
        arrow: bool = False,
    ) -> pd.DataFrame | TickArrays | pa.Table:
        """The ticks of one instrument with start <= time < end, by time.

        Index: time, a DatetimeIndex in UTC. Columns: price and variance (per year; float64, the exact doubles).
        arrays: TickArrays. arrow: a pyarrow.Table (time, price, variance), read through ADBC;
        its time is in microseconds, or in nanoseconds if the market's step needs them.
        source: "store", or "simulation" to simulate the same bits again, whatever the store has; that needs an end.
        Raises UnknownSymbol, UnknownMarket if the store does not have the market, ServerError, SettingsError,
        LibraryError if pyarrow or ADBC's driver is missing, ValueError.
        """
        if arrays and arrow:
            raise ValueError("arrays and arrow: only one of them")
        schema = arrow_schema(TICK, self._market.clock.grain_ns, identified=False) if arrow else None
        number = self._market.number_of(symbol)
        start_ns, end_ns = _moments(start, end)
        if _checked(source) == "simulation":
            found = simulated_ticks(self._market, number, start_ns, end_ns)
        elif schema is not None:
            values: dict[str, int | str] = {
                "id": int(self._in_store().instrument_ids[number]),
                **window(start_ns, end_ns),
            }
            return self._arrow.read(TICKS, values).cast(schema)
        else:
            read = self._from_store(
                lambda connection: read_member(
                    connection, self._in_store(), TICK, number, start_ns=start_ns, end_ns=end_ns
                )
            )
            found = TickArrays(read.time, read["price"], read["variance"])
        if schema is not None:
            return tick_table(found, schema)
        return found if arrays else tick_frame(found)

    @overload
    def bars(
        self, symbol: str, every: Every, start: Moment | None = ..., end: Moment | None = ..., *,
        arrow: Literal[False] = ...,
    ) -> pd.DataFrame: ...  # fmt: skip
    @overload
    def bars(
        self, symbol: str, every: Every, start: Moment | None = ..., end: Moment | None = ..., *, arrow: Literal[True]
    ) -> pa.Table: ...
    def bars(
        self,
        symbol: str,
        every: Every,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        arrow: bool = False,
    ) -> pd.DataFrame | pa.Table:
        """Bars of one instrument that open at start <= time < end, computed by SQL from the stored ticks.

        every: the bars' length, such as "1min" (also s, h, d, ms, us) or a timedelta; they open at whole multiples of
        it since 1970-01-01 UTC. A tick at an opening time belongs to the bar that it opens, but a tick at the close of
        trading (of a session, or before its lunch break) belongs to the bar before. Index: the opening times, a
        DatetimeIndex in UTC, ascending. Columns: Open, High, Low, Close (float64), Volume (int64: the number of ticks).
        Bars without ticks are omitted. Each bar is complete, except the newest while ticks still arrive. arrow: a
        pyarrow.Table (opening, open, high, low, close, ticks). Raises as `ticks`.
        """
        number = self._market.number_of(symbol)
        every_ns = bar_length(every)
        start_ns, end_ns = (
            None if moment is None else -(-moment // every_ns) * every_ns for moment in _moments(start, end)
        )
        stored = self._in_store()
        values = bars_window(stored, int(stored.instrument_ids[number]), every_ns, start_ns, end_ns)
        if arrow:
            return self._arrow.read(BARS, values)
        opening, *prices, ticks = self._from_store(lambda connection: read_bars(connection, values))
        return bar_frame(opening, prices, ticks)

    def factors(
        self, start: Moment | None = None, end: Moment | None = None, *, source: Source = "store"
    ) -> pd.DataFrame:
        """The factors' increments and levels at start <= time < end.

        Index: time, a DatetimeIndex in UTC. Columns: (field, factor); `factors(...)["level"]` is the frame of levels.
        source and errors as in `ticks`; StoreError if the store has no factors.
        """
        start_ns, end_ns = _moments(start, end)
        if _checked(source) == "simulation":
            found = simulated_factors(self._market, start_ns, end_ns)
        else:
            found = self._from_store(lambda connection: read_factors(connection, self._in_store(), start_ns, end_ns))
        return factor_frame(self._market.factors.names, *found)

    def instruments(self) -> pd.DataFrame:
        """The market's instruments, index symbol: number, partition, the parameters (rates and variances per year; the
        drift is the total one), and `loading_<factor>` for each factor."""
        parameters = self._market.instruments
        columns: dict[str, object] = {"number": np.arange(len(self._market.symbols)), "partition": self._partitions}
        columns |= {parameter.name: parameters.arrays[parameter.name] for parameter in PARAMETERS}
        for k, factor in enumerate(self._market.factors.names):
            columns[f"loading_{factor}"] = parameters.factor_loadings[:, k]
        return pd.DataFrame(columns, index=pd.Index(self._market.symbols, name="symbol", dtype="object"))

    def close(self) -> None:
        """Close the connections. The client can't be used afterwards."""
        self._arrow.close()
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

    def _numbers(self, symbols: str | Sequence[str] | None) -> tuple[int, ...]:
        if symbols is None:
            return self._all
        names = (symbols,) if isinstance(symbols, str) else symbols
        return tuple(self._market.number_of(name) for name in names)

    def _keys(self) -> list[str]:
        named = zip(self._partitions, self._market.symbols, strict=True)
        return [quote_key(self._record.name, partition, symbol) for partition, symbol in named]

    def _quote_reader(self) -> QuoteReader:
        if self._reader is None:
            self._redis = open_redis(self._connections, name="pseudofeed-client")
            self._reader = QuoteReader(self._redis, self._keys())
        return self._reader

    def _wanted(self, numbers: Sequence[int]) -> Wanted:
        channels = [channel(self._record.name, p) for p in sorted({self._partitions[number] for number in numbers})]
        return Wanted({self._market.symbols[number]: number for number in numbers}, channels)

    def _in_store(self) -> StoredMarket:
        """Raises as `ticks`."""
        if self._stored is None:
            self._stored = self._from_store(lambda connection: read_stored_market(connection, self._record.name))
        return self._stored

    def _find(self, market: str) -> MarketRecord:
        """The market's record from the store, or else from Kafka."""
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
        """The result of `read`; retried once on a new connection if the old one had died since its last use."""
        fresh = self._postgres is None
        try:
            if self._postgres is None:
                self._postgres = open_connection(self._connections, application="pseudofeed client", writer=False)
            return read(self._postgres)
        except psycopg.errors.UndefinedTable:
            raise UnknownMarket(
                f"there are no markets in PostgreSQL at {self._connections.describe_postgres()} yet: "
                f"`pseudofeed store NAME` or `pseudofeed run` stores one there"
            ) from None
        except psycopg.Error as problem:
            dead = self._postgres is not None and (self._postgres.closed or self._postgres.broken)
            if fresh or not dead:
                raise store_error(problem, self._connections) from None
        self._postgres = None
        return self._from_store(read)


def _moments(start: Moment | None, end: Moment | None) -> tuple[int | None, int | None]:
    return (
        None if start is None else nanoseconds(start, "start"),
        None if end is None else nanoseconds(end, "end"),
    )


def _checked(source: Source) -> Source:
    if source not in ("store", "simulation"):
        raise ValueError(f'source: found {source!r}, must be "store" or "simulation"')
    return source
