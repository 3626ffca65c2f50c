"""Markets in the store. Each is registered once, with consecutive instrument ids; a changed one is an error."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from pseudofeed.bus.markets import DEFAULT_PARTITIONS, MarketRecord
from pseudofeed.errors import MarketChanged, StoreError, TopicError, UnknownMarket
from pseudofeed.market import Market
from pseudofeed.market.parameters import PARAMETERS
from pseudofeed.random._random import default_floating_point
from pseudofeed.records import Key, Kind
from pseudofeed.store.schema import lock_schema
from pseudofeed.times import format_step, format_time

__all__ = [
    "StoredMarket",
    "check_storable",
    "find_stored_market",
    "read_stored_market",
    "register_in_store",
    "register_without_kafka",
]

NOT_IN_KAFKA = 0  # the epoch of a market that was only backfilled


@dataclass(frozen=True, slots=True, eq=False)
class StoredMarket:
    """A market in the store. Instrument number i has the id instrument_ids[i], and factor number k the id
    factor_ids[k]; both are consecutive.
    """

    market_id: int
    record: MarketRecord
    instrument_ids: NDArray[np.int32]
    factor_ids: NDArray[np.int32]

    def ids_of(self, kind: Kind) -> NDArray[np.int32]:
        """The ids in a kind's rows, by number."""
        own = {Key.INSTRUMENT: self.instrument_ids, Key.FACTOR: self.factor_ids}
        return own[kind.key] if kind.key in own else _run(self.market_id, 1)


def register_in_store(connection: psycopg.Connection, record: MarketRecord) -> StoredMarket:
    """The market's entry in the store. If it has none, it is created with instruments and factors, in one transaction.

    Raises MarketChanged naming the differences if the name belongs to another specification, TopicError if the market
    was registered in Kafka again.
    """
    with connection.transaction():
        lock_schema(connection)
        stored = find_stored_market(connection, record.name)
        if stored is None:
            return _insert(connection, record)
        _compare(stored.record, record)
        if stored.record.epoch == NOT_IN_KAFKA != record.epoch:
            connection.execute(
                "UPDATE market SET partitions = %s, epoch = %s WHERE market_id = %s",
                (record.partitions, record.epoch, stored.market_id),
            )
            return replace(stored, record=record)
    return stored


def register_without_kafka(connection: psycopg.Connection, market: Market) -> StoredMarket:
    """The market's entry in the store for a backfill, which does not use Kafka. A market that starts "now" gets the
    start that the store has. Raises MarketChanged as `register_in_store` does, StoreError if such a market is not in
    the store yet."""
    with connection.transaction():
        lock_schema(connection)
        stored = find_stored_market(connection, market.name)
        if market.start_is_now and stored is None:
            raise StoreError(
                f'market {market.name}: clock.start is "now" and the store does not know the market, so it has no '
                f"past that could be backfilled: set clock.start to a time, or feed and store it first"
            )
        if stored is None:
            market = market.settled()
            record = MarketRecord(
                market.name, dict(market.specification), DEFAULT_PARTITIONS, NOT_IN_KAFKA, market.fingerprint
            )
            return _insert(connection, record)
    _compare_specification(stored.record, market)
    return stored


def read_stored_market(connection: psycopg.Connection, name: str) -> StoredMarket:
    """The market of that name. Raises UnknownMarket, which lists the stored ones."""
    stored = find_stored_market(connection, name)
    if stored is None:
        names = [known for (known,) in connection.execute("SELECT name FROM market ORDER BY name")]
        raise UnknownMarket(f"the store has no market {name!r}; it has {', '.join(names) if names else 'none yet'}")
    return stored


@default_floating_point  # PostgreSQL's JSON is read here
def find_stored_market(connection: psycopg.Connection, name: str) -> StoredMarket | None:
    row = connection.execute(
        """SELECT market_id, specification, partitions, epoch, fingerprint,
                  (SELECT min(instrument_id) FROM instrument i WHERE i.market_id = m.market_id),
                  (SELECT count(*) FROM instrument i WHERE i.market_id = m.market_id),
                  (SELECT min(factor_id) FROM factor f WHERE f.market_id = m.market_id),
                  (SELECT count(*) FROM factor f WHERE f.market_id = m.market_id)
           FROM market m WHERE name = %s""",
        (name,),
    ).fetchone()
    if row is None:
        return None
    market_id, specification, partitions, epoch, fingerprint, first, count, first_factor, factors = row
    record = MarketRecord(
        name=name, specification=specification, partitions=partitions, epoch=epoch, fingerprint=int(fingerprint)
    )
    return StoredMarket(market_id, record, _run(first, count), _run(first_factor or 0, factors))


def _compare_specification(stored: MarketRecord, market: Market) -> None:
    differences = market.changes(stored.specification, stored.fingerprint)
    if differences:
        raise MarketChanged(
            f"market {market.name} is in the store with another specification: {'; '.join(differences)}. "
            f"Give the changed market another name"
        )


def _compare(stored: MarketRecord, record: MarketRecord) -> None:
    _compare_specification(stored, record.market)
    if stored.epoch == NOT_IN_KAFKA:
        return
    if stored.partitions != record.partitions:
        raise MarketChanged(
            f"market {record.name} is in the store with {stored.partitions} partitions, Kafka has it with "
            f"{record.partitions}. Give the changed market another name"
        )
    if stored.epoch != record.epoch:
        raise TopicError(
            f"market {record.name} was registered in Kafka again since the store first had it: its topic is another "
            f"one, and what is stored cannot be continued from it. Give the market another name, or "
            f"use another database"
        )


def _insert(connection: psycopg.Connection, record: MarketRecord) -> StoredMarket:
    market = record.market
    row = connection.execute(
        """INSERT INTO market (name, fingerprint, specification, partitions, epoch) VALUES (%s, %s, %s, %s, %s)
           RETURNING market_id, (SELECT coalesce(max(instrument_id), 0) + 1 FROM instrument),
                     (SELECT coalesce(max(factor_id), 0) + 1 FROM factor)""",
        (record.name, record.fingerprint, Jsonb(record.specification), record.partitions, record.epoch),
    ).fetchone()
    assert row is not None
    market_id, first_instrument, first_factor = row
    instruments, factors = market.instruments, market.factors
    names = [parameter.name for parameter in PARAMETERS]
    parameters = [instruments.arrays[name].tolist() for name in names]
    loadings = instruments.factor_loadings.tolist()
    with connection.cursor() as cursor:
        with cursor.copy(
            f"COPY instrument (instrument_id, market_id, number, symbol, {', '.join(names)}, factor_loadings) "
            "FROM STDIN".encode()
        ) as copy:
            for number, (symbol, loading, *values) in enumerate(
                zip(market.symbols, loadings, *parameters, strict=True)
            ):
                copy.write_row((first_instrument + number, market_id, number, symbol, *values, loading))
        cursor.executemany(
            "INSERT INTO factor (factor_id, market_id, number, name, volatility, drift, correlations) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (first_factor + number, market_id, number, name, float(factors.volatilities[number]),
                 float(factors.drifts[number]), factors.correlations[number].tolist())
                for number, name in enumerate(factors.names)
            ],
        )  # fmt: skip
        closes = [format_time(close) for close in market.clock.closes(None, None).tolist()]
        cursor.execute(
            "INSERT INTO market_close SELECT %s, time FROM unnest(%s::timestamptz[]) AS time", (market_id, closes)
        )
    ids = _run(first_instrument, len(market.symbols))
    return StoredMarket(market_id, record, ids, _run(first_factor, len(factors.names)))


def check_storable(market: Market) -> None:
    """Raise StoreError if PostgreSQL, whose times are whole microseconds, can't hold this market's."""
    where = f"market {market.name}: clock."
    limit = "which is PostgreSQL's limit, so it can be fed and cached but not stored"
    if market.step_ns % 1000:
        raise StoreError(f"{where}step {format_step(market.step_ns)} is not a whole number of microseconds, {limit}")
    if market.is_settled and market.clock.start_ns % 1000:
        raise StoreError(f"{where}start {format_time(market.clock.start_ns)} is not at a whole microsecond, {limit}")


def _run(first: int, count: int) -> NDArray[np.int32]:
    return np.arange(first, first + count, dtype=np.int32)
