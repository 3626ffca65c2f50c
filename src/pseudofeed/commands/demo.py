"""`pseudofeed demo`: the whole pipeline in a minute, with servers that stop with the program."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import psycopg
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pseudofeed.bus.markets import read_market
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.commands.display import RunDisplay, quotes_table, verify_table
from pseudofeed.commands.run import FeedOptions, run_market
from pseudofeed.encode import partition_count
from pseudofeed.errors import PseudofeedError
from pseudofeed.market import Market
from pseudofeed.query.client import Client, connect
from pseudofeed.records import kinds_of
from pseudofeed.servers.embedded import EmbeddedServers
from pseudofeed.settings import Connections
from pseudofeed.simulate.export import export_market
from pseudofeed.verify import verify_market

__all__ = ["run_demo"]

_SHOWN = ("ALFA", "BRVO", "CHRL", "DLTA", "ECHO", "FXTR")
_PARTITIONS = 4
# 20 s of 200 steps a second: 6.5 MB of ticks, so that the mock cluster, which keeps 5 MiB a partition, still holds
# them all
# when verify reads them.
_STEPS = 4_000
_RATE = 20_000.0

_QUERY = """\
SELECT to_char(date_bin('15 minutes', time, '2000-01-01 00:00Z') AT TIME ZONE 'UTC', 'HH24:MI') AS opening,
       (array_agg(price ORDER BY time))[1] AS open, max(price) AS high, min(price) AS low,
       (array_agg(price ORDER BY time DESC))[1] AS close, count(*) AS ticks
FROM tick_history WHERE symbol = 'ALFA' GROUP BY 1 ORDER BY 1"""


def run_demo(output: Path, console: Console) -> None:
    """Run the sample market through embedded servers, verify it, and leave files in `output`.

    Raises LibraryError where the extras are not installed, PseudofeedError where verify finds a difference.
    """
    market = Market.sample(instruments=100, factors=3, seed=7, name="demo")
    console.print(
        f"[bold]pseudofeed demo[/bold]: {len(market.symbols)} instruments, {len(market.factors.names)} factors, "
        f"{_STEPS:,} steps of a second; {_RATE:,.0f} ticks/s\n",
        markup=True,
    )
    begun = time.monotonic()
    with console.status("starting Kafka (librdkafka's mock cluster), Redis and PostgreSQL …"):
        servers = EmbeddedServers()
        servers.__enter__()
    try:
        console.print(f"Kafka, Redis and PostgreSQL are up after {time.monotonic() - begun:.1f} s.\n")
        servers.create_topic(MARKETS_TOPIC, 1)
        for kind in kinds_of(market):
            servers.create_topic(kind.topic_of(market.name), partition_count(kind, _PARTITIONS))
        connections = servers.connections
        _live(market, connections, console)
        _verify(market, connections, console)
        with connect(market=market.name, connections=connections) as client:
            console.print("\n[bold]The last quotes[/bold], from Redis:", markup=True)
            console.print(quotes_table(_quotes(client)))
        _ask(connections, console)
    finally:
        servers.__exit__(None, None, None)
    _files(market, output, console)
    console.print(
        "\n[bold]What to try next[/bold]\n"
        "  pseudofeed servers up                       the real Kafka, Redis and TimescaleDB on this machine\n"
        "  pseudofeed run examples/market.toml         a market of your own, until Ctrl-C\n"
        "  pseudofeed verify NAME                      prove that every tick arrived\n"
        "  python -c 'import pseudofeed as pf; print(pf.Market.sample().simulate(steps=60).to_pandas())'",
        markup=True,
    )


def _live(market: Market, connections: Connections, console: Console) -> None:
    feed = FeedOptions(
        steps=_STEPS,
        rate=_RATE,
        partitions=_PARTITIONS,
        wait_for_readers=(f"pseudofeed.store.{market.name}", f"pseudofeed.cache.{market.name}"),
    )
    client: Client | None = None

    def quotes() -> RenderableType | None:
        nonlocal client
        try:
            if client is None:
                client = connect(market=market.name, connections=connections)
            rows = _quotes(client)
        except PseudofeedError:  # no quote yet: the workers are starting
            return None
        return quotes_table(rows) if rows else None

    try:
        with RunDisplay(console, quotes=quotes) as display:
            summary = run_market(market, connections, feed=feed, on_refresh=display.refresh)
    finally:
        if client is not None:
            client.close()
    console.print(
        f"\n{summary.ticks:,} ticks published and {summary.stored:,} stored in {summary.seconds:.1f} s. "
        f"The cache took {summary.cached:,}: it starts with the newest and skips older ones."
    )


def _verify(market: Market, connections: Connections, console: Console) -> None:
    console.print("\n[bold]Verify[/bold]: simulated again and compared bit for bit", markup=True)
    report = verify_market(read_market(connections.require_kafka(), market.name), connections, steps=_STEPS)
    console.print(verify_table(report))
    if not report.equal:
        raise PseudofeedError(f"the demo's stages differ from the simulation: {report.first_difference}")


def _quotes(client: Client) -> list[tuple[str, float, float, datetime]]:
    frame = client.latest(list(_SHOWN))
    times = frame["time"].dt.to_pydatetime()
    return list(zip(frame.index, frame["price"].tolist(), frame["variance"].tolist(), times, strict=True))


def _ask(connections: Connections, console: Console) -> None:
    console.print("\n[bold]One SQL query[/bold], to PostgreSQL:", markup=True)
    console.print(_QUERY, style="dim")
    with psycopg.connect(connections.require_postgres()) as connection:
        cursor = connection.execute(_QUERY)
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in cursor.description or ():
            table.add_column(column.name, justify="right")
        for row in cursor:
            table.add_row(*(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)


def _files(market: Market, output: Path, console: Console) -> None:
    folder, picture = output / "csv", output / "market.png"
    title = f"{market.name}: {_STEPS:,} steps of a second, seed {market.seed}"
    export_market(market, _STEPS, csv=folder, plot=picture, symbols=_SHOWN, title=title)
    named = f": {folder}, with {len(_SHOWN)} instruments and the factors, and {picture}"
    console.print(Text.assemble("\n", ("Files", "bold"), named), soft_wrap=True)
