"""The commands that read a market: `latest`, `ticks` and `bars`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pseudofeed.commands.options import Json, Kafka, MarketName, Postgres, Redis, moment
from pseudofeed.commands.results import print_frame
from pseudofeed.settings import Connections

if TYPE_CHECKING:
    import pandas as pd

    from pseudofeed.query.client import Client

__all__ = ["bars", "latest", "ticks"]


class Source(StrEnum):
    store = "store"
    simulation = "simulation"


def _length(value: str) -> str:
    from pseudofeed.times import bar_length

    try:
        bar_length(value)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None
    return value


Symbol = Annotated[str, typer.Argument(metavar="SYMBOL")]
Start = Annotated[str | None, typer.Option(callback=moment, help="First time to print (ISO 8601, UTC).")]
End = Annotated[str | None, typer.Option(callback=moment, help="Time to stop before (ISO 8601, UTC).")]


def latest(
    name: MarketName,
    symbols: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYMBOL...", help="Symbols of the instruments. [default: all]", show_default=False),
    ] = None,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Print the newest quotes from Redis."""
    with _client(name, kafka, redis, postgres) as client:
        frame = client.latest(symbols or None)
    print_frame(frame.reset_index(), json_output, "quotes")


def ticks(
    name: MarketName,
    symbol: Symbol,
    start: Start = None,
    end: End = None,
    source: Annotated[
        Source, typer.Option(help="Where the ticks come from: the store, or a new simulation.")
    ] = Source.store,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Print the ticks of one instrument as CSV, from the store or a new simulation."""
    if source is Source.simulation and end is None:
        raise typer.BadParameter("--source simulation needs it: a market may go on without end", param_hint="--end")
    with _client(name, kafka, redis, postgres) as client:
        frame = client.ticks(symbol, start, end, source=source.value)
    _print_history(frame, json_output, "ticks")


def bars(
    name: MarketName,
    symbol: Symbol,
    every: Annotated[str, typer.Option(callback=_length, help="Length of a bar: 1s, 5min, 1h, 1d, ...")] = "1min",
    start: Start = None,
    end: End = None,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Print one instrument's bars from the store as CSV. The time of a bar is its opening."""
    with _client(name, kafka, redis, postgres) as client:
        frame = client.bars(symbol, every, start, end)
    _print_history(frame, json_output, "bars")


def _client(name: str, kafka: str | None, redis: str | None, postgres: str | None) -> Client:
    from pseudofeed.query.client import connect

    return connect(market=name, connections=Connections.resolve(kafka=kafka, redis=redis, postgres=postgres))


def _print_history(frame: pd.DataFrame, json_output: bool, key: str) -> None:
    if json_output:
        print_frame(frame.reset_index(), True, key)
    else:
        frame.to_csv(sys.stdout)
