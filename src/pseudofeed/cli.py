"""The command line. Every stage is one command; results go to standard output, everything else to standard error.

Exit codes: 0 done; 1 the answer is no (verify found a difference); 2 wrong use or settings, said in one message without
a traceback.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pseudofeed.control import SignalControl
from pseudofeed.errors import PseudofeedError
from pseudofeed.options import (
    MOST_STEPS,
    Json,
    Kafka,
    MarketFile,
    MarketName,
    Partitions,
    Postgres,
    Rate,
    Redis,
    Speed,
    Steps,
    UntilCaughtUp,
)
from pseudofeed.read_commands import bars, latest, ticks
from pseudofeed.results import print_json, print_summary, result_table, stdout
from pseudofeed.settings import Connections

if TYPE_CHECKING:
    from pseudofeed.publish.markets import MarketRecord

app = typer.Typer(
    name="pseudofeed",
    help="A synthetic market, simulated, streamed, cached, stored, and proven tick by tick.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
servers_app = typer.Typer(help="The real Kafka, Redis and TimescaleDB on this machine.", no_args_is_help=True)
market_app = typer.Typer(help="The markets that are registered.", no_args_is_help=True)
app.add_typer(servers_app, name="servers")
app.add_typer(market_app, name="market")

# What goes wrong or goes on is not a result: it must not get into a pipe.
_stderr = Console(stderr=True, highlight=False)


def main() -> None:
    """The entry point of the `pseudofeed` command."""
    try:
        app()
    except PseudofeedError as problem:
        sys.stderr.write(f"pseudofeed: {problem}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("pseudofeed: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has had enough: nothing to say, and nobody to say it to
        sys.exit(141)
    except OSError as problem:
        # Files that the user named: servers' errors are PseudofeedErrors. pyarrow puts the name into the text.
        place = f"{problem.filename}: {problem.strerror}" if problem.filename is not None else str(problem)
        sys.stderr.write(f"pseudofeed: {place}\n")
        sys.exit(2)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Where the files go.")] = Path("demo-output"),
) -> None:
    """Show the whole pipe with everything embedded: nothing to install, nothing left behind but files."""
    from pseudofeed.demo import run_demo

    run_demo(output, stdout)


@app.command()
def simulate(
    market_file: MarketFile,
    steps: Annotated[int, typer.Option(min=1, max=MOST_STEPS, help="The steps 1 to STEPS.")],
    csv: Annotated[Path | None, typer.Option(metavar="DIR", help="Write CSV files into this folder.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one Parquet file, a row a tick.")] = None,
    json_output: Json = False,
) -> None:
    """Simulate without any server, into files; without --csv or --parquet, show where the prices went."""
    import time

    from pseudofeed.market import Market
    from pseudofeed.simulate.files import write_csv, write_parquet
    from pseudofeed.simulate.progress import watched

    market = Market.load(market_file)
    if market.start_is_now:
        market = market.with_start(time.time_ns())
    ticks = steps * len(market.symbols)
    if csv is not None:
        names = market.factors.names
        write_csv(market.stream(steps=steps), csv, symbols=market.symbols, factor_names=names, total=ticks)
    if parquet is not None:
        write_parquet(market.stream(steps=steps), parquet, symbols=market.symbols, total=ticks)
    with watched("simulating", ticks) as advance:
        for block in market.stream(steps=steps):
            advance(block.prices.size)
            last = block
    if json_output:
        print_json(
            {
                "market": market.name,
                "ticks": ticks,
                "steps": steps,
                "prices": dict(zip(market.symbols, last.prices[-1].tolist(), strict=True)),
            }
        )
        return
    for written in (csv, parquet):
        if written is not None:
            stdout.print(f"{ticks:,} ticks in {written}")
    if csv is None and parquet is None:
        table = result_table("symbol", right=("start", f"step {steps}"))
        for symbol, start, price in zip(market.symbols, market.instruments.initial_price, last.prices[-1], strict=True):
            table.add_row(symbol, f"{start:.2f}", f"{price:.2f}")
        stdout.print(table)


@app.command()
def feed(
    market_file: MarketFile,
    steps: Steps = None,
    speed: Speed = None,
    rate: Rate = None,
    partitions: Partitions = None,
    kafka: Kafka = None,
    json_output: Json = False,
) -> None:
    """Simulate a market into Kafka, from where the topic ends. Ctrl-C flushes what was published; the next start
    goes on."""
    from pseudofeed.market import Market
    from pseudofeed.publish.feed import feed as run_feed

    connections = Connections.resolve(kafka=kafka)
    summary = run_feed(
        Market.load(market_file), connections, _control(), steps=steps, rate=rate, speed=speed, partitions=partitions
    )
    print_summary("published", asdict(summary), json_output)


@app.command()
def store(
    name: MarketName,
    until_caught_up: UntilCaughtUp = False,
    kafka: Kafka = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Store a market's ticks, each exactly once. Start as many as there are partitions."""
    from pseudofeed.store.worker import store_market

    connections = Connections.resolve(kafka=kafka, postgres=postgres)
    connections.require_postgres()
    record = _registered(connections, name)
    print_summary("stored", asdict(store_market(record, connections, _control(until_caught_up))), json_output)


@app.command()
def cache(
    name: MarketName,
    until_caught_up: UntilCaughtUp = False,
    kafka: Kafka = None,
    redis: Redis = None,
    json_output: Json = False,
) -> None:
    """Keep a market's newest quotes in Redis."""
    from pseudofeed.cache.worker import cache_market

    connections = Connections.resolve(kafka=kafka, redis=redis)
    connections.require_redis()
    record = _registered(connections, name)
    print_summary("cached", asdict(cache_market(record, connections, _control(until_caught_up))), json_output)


@app.command()
def run(
    market_file: MarketFile,
    steps: Steps = None,
    speed: Speed = None,
    rate: Rate = None,
    partitions: Partitions = None,
    store_workers: Annotated[int, typer.Option(min=0, help="Processes that store.")] = 1,
    cache_workers: Annotated[int, typer.Option(min=0, help="Processes that cache.")] = 1,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Run the feed and the workers, one process each. Ctrl-C drains them; a process that dies is started again."""
    from pseudofeed.display import RunDisplay
    from pseudofeed.market import Market
    from pseudofeed.run import run_market
    from pseudofeed.supervise import FeedOptions

    connections = Connections.resolve(kafka=kafka, redis=redis, postgres=postgres)
    with RunDisplay(_stderr) as display:
        summary = run_market(
            Market.load(market_file),
            connections,
            feed=FeedOptions(steps=steps, rate=rate, speed=speed, partitions=partitions),
            store_workers=store_workers,
            cache_workers=cache_workers,
            on_refresh=display.refresh,
        )
    print_summary("published, cached and stored", asdict(summary), json_output)


@app.command()
def verify(
    name: MarketName,
    steps: Annotated[int | None, typer.Option(min=0, help="The steps that must be there; or the newest found.")] = None,
    stage: Annotated[list[str] | None, typer.Option(help="kafka, redis or postgres; may be repeated; or all.")] = None,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Simulate again and compare Kafka, Redis and the store bit for bit. Exit code 1 where they differ."""
    from pseudofeed.verify import verify_market

    connections = Connections.resolve(kafka=kafka, redis=redis, postgres=postgres)
    record = _registered(connections, name)
    report = verify_market(record, connections, stages=stage, steps=steps)
    if json_output:
        print_json(report.to_dict())
    else:
        from pseudofeed.display import verify_table

        stdout.print(verify_table(report), soft_wrap=True)  # a difference is one line, also in a pipe
    sys.exit(0 if report.equal else 1)


app.command()(latest)
app.command()(ticks)
app.command()(bars)


@servers_app.command("up")
def servers_up() -> None:
    """Start Kafka, Redis and TimescaleDB; print the three variables that tell where they are, ready for the shell."""
    from pseudofeed.servers import ServerSettings, up

    endpoints = up(ServerSettings.from_environment(), report=lambda text: _stderr.print(text, markup=False))
    for variable, value in endpoints.environment().items():
        sys.stdout.write(f"{variable}={value}\n")


@servers_app.command("down")
def servers_down() -> None:
    """End the servers that `up` started; their data stays."""
    from pseudofeed.servers import ServerSettings, down

    down(ServerSettings.from_environment(), report=lambda text: _stderr.print(text, markup=False))


@servers_app.command("status")
def servers_status(json_output: Json = False) -> None:
    """Say which of the servers answer. Exit code 1 where one does not."""
    from pseudofeed.servers import ServerSettings, status

    found = status(ServerSettings.from_environment())
    if json_output:
        print_json({"servers": [asdict(server) for server in found]})
    else:
        table = result_table("server", "address", "state", "version")
        for server in found:
            state = "up" if server.answers else "does not answer" if server.started else "down"
            owner = "" if server.started or not server.answers else ", not started by us"
            table.add_row(server.name, server.address, state + owner, server.version or "")
        stdout.print(table)
    sys.exit(0 if all(server.answers for server in found) else 1)


@market_app.command("list")
def market_list(kafka: Kafka = None, json_output: Json = False) -> None:
    """List the registered markets. Exit code 1 where a record cannot be read."""
    from pseudofeed.errors import MalformedMessage
    from pseudofeed.publish.markets import read_markets
    from pseudofeed.publish.topics import check_broker

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
            _stderr.print(f"pseudofeed: {record['reason']}", markup=False, soft_wrap=True)
    sys.exit(1 if unreadable else 0)


@market_app.command("show")
def market_show(name: MarketName, kafka: Kafka = None) -> None:
    """Print a registered market: its specification, number of partitions and fingerprint, as JSON."""

    record = _registered(Connections.resolve(kafka=kafka), name)
    shown = {
        "name": record.name,
        "partitions": record.partitions,
        "fingerprint": f"{record.fingerprint:016x}",
        "specification": record.specification,
    }
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


def _registered(connections: Connections, name: str) -> MarketRecord:
    """The market's record; a server that does not answer is told sooner, and with its reason, than by reading."""
    from pseudofeed.publish.markets import read_market
    from pseudofeed.publish.topics import check_broker

    kafka = connections.require_kafka()
    check_broker(kafka)
    return read_market(kafka, name)


def _control(until_caught_up: bool = False) -> SignalControl:
    """A control that Ctrl-C and SIGTERM stop, and that shows progress on a terminal."""
    on_progress = None
    if _stderr.is_terminal:
        from pseudofeed.display import ProgressLine

        on_progress = ProgressLine(_stderr).show
    return SignalControl(until_caught_up=until_caught_up, on_progress=on_progress).listen()
