"""The store's schema: applied once, refused when it is newer, readable by name, kept as long as was said."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from live.commands import result, start
from live.own_servers import own_postgres
from live.pipe import Until, differences, fed_market
from pseudofeed.errors import SettingsError, StoreError
from pseudofeed.settings import Connections
from pseudofeed.store.connection import open_connection
from pseudofeed.store.registry import read_stored_market
from pseudofeed.store.schema import READER, find_tier, migrate, schema_files
from pseudofeed.store.settings import StoreSettings, change_settings
from pseudofeed.store.upkeep import keep_up
from pseudofeed.store.worker import prepare_store, store_market
from pseudofeed.verify import verify_market

NEWEST = max(file.number for file in schema_files())


def test_migrate_makes_the_schema_once(store_connections: Connections, tmp_path: Path) -> None:
    first = result(start(store_connections, tmp_path, "store", "--migrate", "--json"))
    assert first["number"] == NEWEST
    assert first["applied"][0] == "001_market.sql"
    again = result(start(store_connections, tmp_path, "store", "--migrate", "--json"))
    assert (again["number"], again["tier"], again["applied"]) == (NEWEST, first["tier"], [])


def test_every_file_may_be_applied_again(store_connections: Connections) -> None:
    with open_connection(store_connections, application="test", writer=True) as connection:
        tier = migrate(connection)
        connection.execute("DELETE FROM migration")
        assert migrate(connection) is tier is find_tier(connection)


def test_a_newer_schema_is_refused(plain_connections: Connections, tmp_path: Path) -> None:
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        migrate(connection)
        connection.execute("INSERT INTO migration (number, name) VALUES (999, '999_later.sql')")
    process = start(plain_connections, tmp_path, "store", "--migrate")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == (
        f"pseudofeed: the store's schema has number 999, this version of pseudofeed knows up to {NEWEST}: "
        "install the version that made it, or a newer one\n"
    )
    with (
        open_connection(plain_connections, application="test", writer=True) as connection,
        pytest.raises(StoreError, match="number 999"),
    ):
        migrate(connection)


def test_an_extension_that_is_gone_is_named(timescale_connections: Connections) -> None:
    with psycopg.connect(timescale_connections.require_postgres(), autocommit=True) as connection:
        migrate(connection)
        connection.execute("DROP EXTENSION timescaledb CASCADE")
    with (
        psycopg.connect(timescale_connections.require_postgres(), autocommit=True) as connection,
        pytest.raises(StoreError, match="no longer has the extension timescaledb"),
    ):
        migrate(connection)


def test_every_table_and_column_says_what_it_is(store_connections: Connections) -> None:
    with psycopg.connect(store_connections.require_postgres()) as connection:
        migrate(connection)
        silent = connection.execute(
            """SELECT c.relname, a.attname FROM pg_class c
               LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                    AND c.relkind <> 'v' AND c.relname !~ '(_partition|migration)$'
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')
                 AND (obj_description(c.oid) IS NULL
                      OR (a.attname IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL))"""
        ).fetchall()
    assert silent == []


def test_readers_may_read_and_nothing_else(store_connections: Connections, market_name: str) -> None:
    record = fed_market(store_connections, market_name, steps=10)
    store_market(record, store_connections, Until())
    with psycopg.connect(store_connections.require_postgres(), autocommit=True) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(READER)))
        for view in ("tick_history", "factor_history", "quarantine"):
            connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(view)))
        assert connection.execute("SELECT count(*) FROM tick_history").fetchone() == (200,)
        for statement in ("DELETE FROM tick", "UPDATE market SET name = 'x'", "CREATE TABLE mine (a int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_user_who_may_not_make_roles_is_told_and_goes_on(connections: Connections, tmp_path: Path) -> None:
    """On a server of its own: on the one that all tests share the role is there."""
    with own_postgres() as (_, dsn):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE owner LOGIN PASSWORD 'own'")
            connection.execute("CREATE DATABASE own OWNER owner")
        settings = replace(connections, postgres=make_conninfo(dsn, dbname="own", user="owner", password="own"))
        process = start(settings, tmp_path, "store", "--migrate")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"no role {READER}: this user may not create roles" in err
    assert f"number {NEWEST} (plain)" in out


def test_a_query_by_symbol_uses_the_index_and_only_the_chunks_of_its_time(
    store_connections: Connections, market_name: str
) -> None:
    record = fed_market(store_connections, market_name, steps=3_000)
    settings = StoreSettings(chunk_length="10min")
    store_market(record, store_connections, Until(), settings=settings)
    with psycopg.connect(store_connections.require_postgres()) as connection:
        chunks = _chunks(connection)
        assert chunks >= 5
        connection.execute("ANALYZE tick")
        plan = connection.execute(
            """EXPLAIN (FORMAT TEXT) SELECT time, price FROM tick_history
               WHERE market = %s AND symbol = %s AND time >= '2026-03-02 14:41Z' AND time < '2026-03-02 14:42Z'""",
            (market_name, record.market.symbols[0]),
        ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "instrument_id_time_idx" in text
    assert "Seq Scan on tick" not in text
    scans = [line for line in text.splitlines() if "Scan" in line and ("tick_" in line or "_hyper_" in line)]
    assert len([line for line in scans if "Index" in line or "Heap" in line]) <= 2, text


def _chunks(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'tick'::regclass").fetchone()
    assert row is not None
    return int(row[0])


def test_old_ticks_are_dropped_when_no_market_needs_them(store_connections: Connections, market_name: str) -> None:
    connections, steps = store_connections, 3_000  # 50 minutes from 14:30
    record = fed_market(connections, market_name, steps=steps)
    store_market(record, connections, Until(), settings=StoreSettings(chunk_length="10min"))
    with open_connection(connections, application="test", writer=True) as connection:
        tier, market = find_tier(connection), read_stored_market(connection, market_name)
        assert keep_up(connection, tier) == 0
        change_settings(connection, market, StoreSettings(retention="15min"))
        before = _chunks(connection)
        # Another market keeps all that it has, which begins at the same time.
        other = fed_market(connections, f"{market_name}-other", steps=1)
        prepare_store(other, connections)
        store_market(other, connections, Until())
        assert keep_up(connection, tier) == 0
        connection.execute("UPDATE market SET retention = interval '1 s' WHERE market_id <> %s", (market.market_id,))
        connection.execute("UPDATE sink_offset SET last_sequence = 3600 WHERE market_id <> %s", (market.market_id,))
        assert keep_up(connection, tier) == 3
        assert _chunks(connection) == before - 3
        assert keep_up(connection, tier) == 0
        oldest = connection.execute("SELECT min(time) FROM tick").fetchone()
    assert oldest == (datetime.datetime(2026, 3, 2, 15, 0, tzinfo=datetime.UTC),)
    stored, unknown, missing = differences(connections, record, steps)
    assert (stored, unknown, missing) == (1_201 * 20, 0, (steps - 1_201) * 20)
    report = verify_market(record, connections, stages=["postgres"])
    assert report.stages["postgres"].equal
    assert report.stages["postgres"].expected == 1_201 * 20
    # What comes later goes on as always.
    assert store_market(record, connections, Until()).ticks == 0


def test_settings_that_are_no_lengths_are_refused(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=1)
    with pytest.raises(SettingsError, match="retention is a while: it is not a whole number followed by"):
        prepare_store(record, plain_connections, StoreSettings(retention="a while"))
    prepare_store(record, plain_connections, StoreSettings(retention="30d", chunk_length="6h"))
    prepare_store(record, plain_connections, StoreSettings(retention="never"))
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        row = connection.execute("SELECT retention, chunk_length FROM market").fetchone()
    assert row == (None, datetime.timedelta(hours=6))


def test_a_chunk_has_the_length_that_the_servers_memory_allows(
    plain_connections: Connections, market_name: str
) -> None:
    record = fed_market(plain_connections, market_name, steps=1)
    store_market(record, plain_connections, Until())
    with psycopg.connect(plain_connections.require_postgres()) as connection:
        row = connection.execute("SELECT extract(epoch FROM range_end - range_start) FROM tick_partition").fetchone()
        buffers = connection.execute("SELECT setting::int8 * 8192 FROM pg_settings WHERE name = 'shared_buffers'")
        found = buffers.fetchone()
    assert row is not None
    assert found is not None
    ticks = np.clip(found[0] / 100, 1e6, 8e6)
    assert float(row[0]) * 20 <= ticks < float(row[0]) * 20 * 11
