"""`pseudofeed store`: a market's records from Kafka into PostgreSQL or TimescaleDB, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import psycopg

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.consume import WorkerSummary, consume_kind
from pseudofeed.operate.control import Control
from pseudofeed.records import Key, Kind, stored_kinds
from pseudofeed.settings import Connections
from pseudofeed.store.chunk_index import ChunkIndexer
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.registry import StoredMarket, check_storable, register_in_store
from pseudofeed.store.schema import Tier, applied_files, migrate
from pseudofeed.store.settings import StoreSettings, change_settings
from pseudofeed.store.side_by_side import run_side_by_side
from pseudofeed.store.sink import StoreSink

__all__ = ["Migrated", "migrate_store", "prepare_store", "store_market"]

# A full topic of 2 million ticks of 100 instruments into a TimescaleDB hypertable with its index, two connections, 2
# cores with everything on them, thousand ticks/s in three rounds: 200,000 rows 288, 403, 417; 400,000 298, 489, 451;
# 1,000,000 346, 462, 465 (50,000 rows: half of 200,000). With the index made behind the rows, medians of five rounds:
# 100,000 rows 452, 200,000 470, 400,000 500. Larger batches have longer runs of each instrument, which an index that is
# kept up likes; what is half a second old is committed in any case. A row takes some 100 bytes of the worker's memory.
BATCH_ROWS = 400_000
# What a reader of history may have to wait for. Each commit costs a flush to the disk, some milliseconds.
BATCH_SECONDS = 0.5
LANES = 2


def store_market(
    record: MarketRecord,
    connections: Connections,
    control: Control,
    *,
    batch_rows: int = BATCH_ROWS,
    batch_seconds: float = BATCH_SECONDS,
    lanes: int | None = None,
    settings: StoreSettings | None = None,
) -> WorkerSummary:
    """Store the market's records until `control` asks to stop, or, draining, all that the topics have.

    A batch is committed when about `batch_rows` rows have come or the first of them is `batch_seconds` old. lanes:
    how many connections share the partitions; by default two, and never more than there are partitions. Start as many
    workers as there are partitions, on any machines: Kafka shares the partitions out. settings: changed in the store
    before.

    Raises ServerError where a server does not answer at the start (later it is waited for), StoreError, MarketChanged
    and TopicError: nothing was written of what is wrong. Messages that cannot be read go to the table quarantine.
    """
    connections.require_kafka()
    market, tier = prepare_store(record, connections, settings)
    count = min(LANES if lanes is None else lanes, record.partitions)

    def store(kind: Kind, optional: bool, control: Control) -> WorkerSummary:
        with ExitStack() as stack:
            indexer = None
            if kind.table is not None and kind.table.index_by_chunk:
                indexer = ChunkIndexer(connections, market, tier, kind, batch_seconds=batch_seconds)
                stack.callback(indexer.close)
            sinks = [
                StoreSink(connections, market, tier, kind, indexer=indexer, keeps_up=lane == 0 and not optional)
                for lane in range(count if kind.key is Key.INSTRUMENT else 1)
            ]
            return consume_kind(
                record, kind, connections, control, sinks, stage="store" if not optional else f"store-{kind.topic}",
                batch_rows=batch_rows, batch_seconds=batch_seconds, optional=optional,
            )  # fmt: skip

    first, *others = stored_kinds(record.market)
    summary, *more = run_side_by_side(
        control, partial(store, first, False), [partial(store, kind, True) for kind in others]
    )
    return replace(summary, unreadable=sum(own.unreadable for own in (summary, *more)))


@dataclass(frozen=True, slots=True)
class Migrated:
    """number: of the schema now. tier: the database's. applied: files that were applied this time."""

    number: int
    tier: str
    applied: tuple[str, ...]


def migrate_store(connections: Connections, on_notice: Callable[[str], None]) -> Migrated:
    """Make or update the schema. Raises ServerError and StoreError. on_notice: takes what the server remarks on it."""
    try:
        with open_connection(connections, application="pseudofeed store --migrate", writer=True) as connection:
            connection.add_notice_handler(lambda notice: on_notice(notice.message_primary or ""))
            connection.execute("SET client_min_messages = notice")
            before = applied_files(connection)
            tier = migrate(connection)
            after = applied_files(connection)
            names = tuple(name for number, name in after.items() if number not in before)
            return Migrated(max(after), tier.value, names)
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None


def prepare_store(
    record: MarketRecord, connections: Connections, settings: StoreSettings | None = None
) -> tuple[StoredMarket, Tier]:
    """Make or update the schema, register the market, change its settings. Raises as `store_market` does."""
    check_storable(record.market)
    try:
        with open_connection(connections, application="pseudofeed store", writer=True) as connection:
            tier = migrate(connection)
            market = register_in_store(connection, record)
            if settings is not None:
                change_settings(connection, market, settings)
            return market, tier
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
