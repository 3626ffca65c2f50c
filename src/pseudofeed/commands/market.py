"""`pseudofeed market`: its commands. Where markets are registered is bus/markets.py."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pseudofeed.commands.console import stderr, stdout
from pseudofeed.commands.options import Json, Kafka, MarketName, Postgres, Redis
from pseudofeed.commands.results import print_json, result_table
from pseudofeed.settings import Connections
from pseudofeed.times import format_time

if TYPE_CHECKING:
    from pseudofeed.bus.markets import MarketRecord

__all__ = ["market_app", "registered", "stored_or_registered"]

market_app = typer.Typer(help="List, show, freeze and drop markets.", no_args_is_help=True)


@market_app.command("list")
def market_list(kafka: Kafka = None, json_output: Json = False) -> None:
    """List the registered markets. The exit code is 1 if a record cannot be read."""
    from pseudofeed.bus.markets import read_markets
    from pseudofeed.bus.topics import check_broker
    from pseudofeed.errors import MalformedMessage

    properties = Connections.resolve(kafka=kafka).require_kafka()
    check_broker(properties)
    found = read_markets(properties)
    unreadable = [
        {"name": name, "reason": str(record)} for name, record in found.items() if isinstance(record, MalformedMessage)
    ]
    rows = [
        {
            "name": r.name,
            "instruments": len(r.market.symbols),
            "factors": len(r.market.factors.names),
            "partitions": r.partitions,
        }
        for r in found.values()
        if not isinstance(r, MalformedMessage)
    ]
    if json_output:
        print_json({"markets": rows, "unreadable": unreadable})
    else:
        table = result_table("name", right=("instruments", "factors", "partitions"))
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        stdout.print(table if found else "No market is registered: feed one (pseudofeed feed MARKET.toml).")
        for record in unreadable:
            stderr.print(f"pseudofeed: {record['reason']}", soft_wrap=True)
    sys.exit(1 if unreadable else 0)


@market_app.command("show")
def market_show(name: MarketName, kafka: Kafka = None) -> None:
    """Print a registered market as JSON: its specification, number of partitions, fingerprint, and the end of its
    timetable."""

    record = registered(Connections.resolve(kafka=kafka), name)
    clock = record.market.clock
    ends = clock.end_ns is not None or clock.timetable is not None
    shown = {
        "name": record.name,
        "partitions": record.partitions,
        "fingerprint": f"{record.fingerprint:016x}",
        # null: it goes on for as long as there are 64-bit nanoseconds.
        "reaches": format_time(clock.known_until_ns) if ends else None,
        "last_step": clock.last_known_step if ends else None,
        "specification": record.specification,
    }
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


@market_app.command("freeze")
def market_freeze(
    market: Annotated[str, typer.Argument(metavar="FILE|NAME", help="Market file, or name of a registered market.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of standard output.")
    ] = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
) -> None:
    """Write a market's file with every default and its exchange's timetable filled in. The frozen file needs no
    calendar library, and gives the same ticks and the same fingerprint everywhere."""
    from pseudofeed.errors import MarketFileError
    from pseudofeed.market import Market
    from pseudofeed.market.freeze import market_file_text
    from pseudofeed.simulate.files.place import new_file

    if market.endswith(".toml") or Path(market).is_file():
        found = Market.load(Path(market))
        if found.start_is_now:
            raise MarketFileError(
                f'{market}: clock.start is "now", so its timetable begins when it is first fed: feed it, and freeze '
                f"the registered market (pseudofeed market freeze {found.name}), or set a time"
            )
    else:
        found = stored_or_registered(Connections.resolve(kafka=kafka, postgres=postgres), market).market
    content = market_file_text(found.specification).encode("utf-8")  # as TOML must be, whatever the locale
    if output is None:
        typer.echo(content, nl=False)
    else:
        with new_file(output) as place:
            place.write_bytes(content)


@market_app.command("drop")
def market_drop(
    name: MarketName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Remove a market and all its ticks from Kafka, Redis and the store. Its record need not be readable."""
    from pseudofeed.commands.drop import drop_everywhere, find_traces

    connections = Connections.resolve(kafka=kafka, redis=redis, postgres=postgres)
    traces = find_traces(name, connections)
    if not yes:
        places = [*(["the market's record"] if traces.registered else []), *traces.topics]
        places += ["its keys in Redis"] if traces.cached else []
        places += ["all its rows in the store"] if traces.stored else []
        typer.confirm(f"Remove {', '.join(places) or 'its consumer groups'} for ever?", abort=True, err=True)
    dropped = drop_everywhere(traces, connections)
    unset = [
        variable
        for variable, found in (("PSEUDOFEED_REDIS", traces.cached), ("PSEUDOFEED_POSTGRES", traces.stored))
        if found is None
    ]
    if unset:
        stderr.print(f"pseudofeed: not looked at, since {' and '.join(unset)} is not set", soft_wrap=True)
    if json_output:
        print_json(asdict(dropped))
        return
    removed = [*(["the market's record"] if dropped.record else []), *(f"topic {topic}" for topic in dropped.topics)]
    removed += [f"consumer group {group}" for group in dropped.groups]
    removed += [f"{dropped.keys:,} keys in Redis"] if dropped.keys else []
    removed += [f"{dropped.chunks:,} chunks and {dropped.rows:,} single rows of the store"] if traces.stored else []
    stdout.print(f"removed: {', '.join(removed)}", soft_wrap=True)


def stored_or_registered(connections: Connections, name: str) -> MarketRecord:
    """The market's record in Kafka. If Kafka is not set or has no such market: the store's copy of it."""
    import psycopg

    from pseudofeed.errors import UnknownMarket
    from pseudofeed.store.connection import open_connection, store_error
    from pseudofeed.store.registry import read_stored_market

    if connections.kafka is not None:
        try:
            return registered(connections, name)
        except UnknownMarket as problem:
            unknown = problem
    connections.require_postgres()
    try:
        with open_connection(connections, application=f"pseudofeed verify {name}", writer=False) as connection:
            return read_stored_market(connection, name).record
    except (psycopg.errors.UndefinedTable, UnknownMarket) as problem:
        if connections.kafka is not None:
            raise unknown from None
        if isinstance(problem, UnknownMarket):
            raise
        raise UnknownMarket(f"the store has no market {name!r}: nothing was stored in it yet") from None
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None


def registered(connections: Connections, name: str) -> MarketRecord:
    """The market's record. The server is checked first: that reports a dead one sooner than reading, and says why."""
    from pseudofeed.bus.markets import read_market
    from pseudofeed.bus.topics import check_broker

    kafka = connections.require_kafka()
    check_broker(kafka)
    return read_market(kafka, name)
