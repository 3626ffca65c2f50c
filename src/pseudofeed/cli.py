"""The command line. Every stage is one command; results go to standard output, everything else to standard error.

Exit codes: 0 done; 1 the answer is no (verify found a difference); 2 wrong use or settings, said in one message without
a traceback. `commands/entry.py` has the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pseudofeed.commands.console import stderr, stdout
from pseudofeed.commands.entry import RootGroup, run_app, say_warning
from pseudofeed.commands.market import market_app, registered, stored_or_registered
from pseudofeed.commands.options import (
    MOST_STEPS,
    Encoding,
    EncodingOption,
    Json,
    Kafka,
    MarketFile,
    MarketName,
    Mode,
    ModeOption,
    Partitions,
    Postgres,
    Rate,
    Redis,
    Speed,
    Steps,
    UntilCaughtUp,
)
from pseudofeed.commands.read import bars, latest, ticks
from pseudofeed.commands.results import print_json, print_migrated, print_summary, result_table
from pseudofeed.commands.servers import servers_app
from pseudofeed.operate.control import SignalControl
from pseudofeed.settings import Connections

if TYPE_CHECKING:
    from pseudofeed.market import Market

app = typer.Typer(
    name="pseudofeed",
    cls=RootGroup,
    help="A synthetic market, simulated, streamed, cached, stored, and proven tick by tick.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(servers_app, name="servers")
app.add_typer(market_app, name="market")


def main() -> NoReturn:
    """Run the command that the arguments name, and exit."""
    sys.exit(run_app(app))


def _say_start(given: Market) -> Callable[[Market], None]:
    """Prints, to standard error, how far a registered market reaches, and warnings about it."""
    from pseudofeed.market.settle import reach, start_notes

    def say(registered: Market) -> None:
        far = reach(registered)
        if far is not None:
            stderr.print(far, soft_wrap=True)
        for note in start_notes(given, registered):
            say_warning(note)

    return say


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo-output"),
) -> None:
    """Run the whole pipeline with embedded servers. There is nothing to install, and only files are left behind."""
    from pseudofeed.commands.demo import run_demo

    run_demo(output, stdout)


@app.command()
def simulate(
    market_file: MarketFile,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_STEPS, help="Simulate the steps 1 to STEPS. Without it, up to the market's clock.end."
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a folder of CSV files, one for each instrument, and factors.csv."),
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one Parquet file with one row per tick.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw prices, volatilities and factors (PNG, PDF, SVG).")
    ] = None,
    json_output: Json = False,
) -> None:
    """Simulate a market into files, without any server. Without --csv, --parquet or --plot, print the last prices.

    Files appear only when they are complete. A folder is replaced as a whole if it holds nothing but files of an
    earlier --csv; otherwise it is refused. Times in Parquet are in microseconds, or in nanoseconds (which Spark can't
    read) if the step needs them.
    """
    import time

    from pseudofeed.errors import SettingsError
    from pseudofeed.market import Market
    from pseudofeed.simulate.export import export_market

    market = Market.load(market_file)
    if market.start_is_now:
        market = market.with_start(time.time_ns())
    steps = market.last_step if steps is None else steps
    if steps is None:
        raise typer.BadParameter("is missing, and the market has no clock.end", param_hint="--steps")
    written = [place for place in (csv, parquet, plot) if place is not None]
    if any(place.resolve() == market_file.resolve() for place in written):
        raise SettingsError(f"{market_file} is the market file, and would be replaced: name another place")
    last = export_market(market, steps, csv=csv, parquet=parquet, plot=plot, title=market.name)
    ticks = steps * len(market.symbols)
    if json_output:
        prices = dict(zip(market.symbols, last.prices[-1].tolist(), strict=True))
        print_json({"market": market.name, "ticks": ticks, "steps": steps, "prices": prices})
        return
    for place in written:
        stdout.print(f"{ticks:,} ticks in {place}", soft_wrap=True)
    if not written:
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
    mode: ModeOption = Mode.block,
    encoding: EncodingOption = Encoding.sbe,
    partitions: Partitions = None,
    kafka: Kafka = None,
    json_output: Json = False,
) -> None:
    """Simulate a market into Kafka, continuing where its topics end. Ctrl-C flushes what was published, and the next
    start continues from there."""
    from pseudofeed.market import Market
    from pseudofeed.publish.feed import feed as run_feed

    connections = Connections.resolve(kafka=kafka)
    market = Market.load(market_file, settle=False)
    summary = run_feed(
        market,
        connections,
        _control(),
        steps=steps,
        rate=rate,
        speed=speed,
        mode=mode.value,
        encoding=encoding.value,
        partitions=partitions,
        on_market=_say_start(market),
    )
    print_summary("published", asdict(summary), json_output)


@app.command()
def store(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of a market that was fed before.", show_default=False)
    ] = None,
    until_caught_up: UntilCaughtUp = False,
    migrate: Annotated[bool, typer.Option("--migrate", help="Create or update the store's tables, and exit.")] = False,
    retention: Annotated[
        str | None, typer.Option(metavar="30d", help="Drop ticks older than this, in market time.")
    ] = None,
    chunk_length: Annotated[str | None, typer.Option(metavar="6h", help="Length of new chunks.")] = None,
    kafka: Kafka = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Write a market's ticks and factors from Kafka to the store, each exactly once. Up to one process per partition
    can run. The values of --retention and --chunk-length are saved in the store; "never" removes one."""
    from pseudofeed.store.settings import StoreSettings
    from pseudofeed.store.worker import migrate_store, store_market

    connections = Connections.resolve(kafka=kafka, postgres=postgres)
    connections.require_postgres()
    if migrate:
        migrated = migrate_store(connections, lambda notice: stderr.print(notice, markup=False, soft_wrap=True))
        print_migrated(asdict(migrated), json_output)
        if name is None:
            return
    if name is None:
        raise typer.BadParameter("is missing: name the market to store", param_hint="NAME")
    settings = StoreSettings(retention=retention, chunk_length=chunk_length)
    record = registered(connections, name)
    summary = store_market(record, connections, _control(until_caught_up), settings=settings)
    print_summary("stored", asdict(summary), json_output)


@app.command()
def backfill(
    market_file: MarketFile,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME|STEP", help="First time or step to write. Default: the market's first step."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME|STEP",
            help="Time to stop before, or last step to write. Default: clock.end, or now.",
        ),
    ] = None,
    writers: Annotated[
        int, typer.Option("--connections", min=1, max=64, help="Number of database connections that write in parallel.")
    ] = 2,
    parquet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write Parquet files into this folder, one per day.")
    ] = None,
    store: Annotated[
        bool,
        typer.Option("--store/--no-store", help="Write to the store; with --no-store only Parquet files are written."),
    ] = True,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Simulate a market straight into the store, without Kafka. Ticks that the store already has are left as they
    are, so the next start after Ctrl-C or a crash continues. Feed and store may run at the same time."""
    from pseudofeed.market import Market
    from pseudofeed.store.backfill.run import backfill_files, backfill_market

    if not store and parquet is None:
        raise typer.BadParameter("leaves nothing to write: add --parquet DIR", param_hint="--no-store")
    market = Market.load(market_file, settle=not store)
    if not store and parquet is not None:
        summary = backfill_files(market, parquet, _control(), begin=begin, end=end)
    else:
        connections = Connections.resolve(postgres=postgres)
        connections.require_postgres()
        summary = backfill_market(
            market, connections, _control(), begin=begin, end=end, writers=writers, directory=parquet,
            on_market=_say_start(market),
        )  # fmt: skip
    print_summary("backfilled", asdict(summary), json_output)


@app.command()
def cache(
    name: MarketName,
    until_caught_up: UntilCaughtUp = False,
    kafka: Kafka = None,
    redis: Redis = None,
    json_output: Json = False,
) -> None:
    """Read a market's ticks from Kafka and keep its newest quotes in Redis."""
    from pseudofeed.cache.worker import cache_market

    connections = Connections.resolve(kafka=kafka, redis=redis)
    connections.require_redis()
    record = registered(connections, name)
    print_summary("cached", asdict(cache_market(record, connections, _control(until_caught_up))), json_output)


@app.command()
def run(
    market_file: MarketFile,
    steps: Steps = None,
    speed: Speed = None,
    rate: Rate = None,
    mode: ModeOption = Mode.block,
    encoding: EncodingOption = Encoding.sbe,
    partitions: Partitions = None,
    store_workers: Annotated[int, typer.Option(min=0, help="Number of processes that write to the store.")] = 1,
    cache_workers: Annotated[int, typer.Option(min=0, help="Number of processes that write to Redis.")] = 1,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Run the feed, the cache and the store, in processes of their own. Ctrl-C drains them. A process that dies is
    restarted."""
    from pseudofeed.commands.display import RunDisplay
    from pseudofeed.commands.run import FeedOptions, run_market
    from pseudofeed.market import Market

    connections = Connections.resolve(kafka=kafka, redis=redis, postgres=postgres)
    market = Market.load(market_file, settle=False)
    with RunDisplay(stderr) as display:
        summary = run_market(
            market,
            connections,
            feed=FeedOptions(
                steps=steps, rate=rate, speed=speed, mode=mode.value, encoding=encoding.value, partitions=partitions
            ),
            store_workers=store_workers,
            cache_workers=cache_workers,
            on_market=_say_start(market),
            on_refresh=display.refresh,
        )
    print_summary("published, cached and stored", asdict(summary), json_output)


@app.command()
def verify(
    name: MarketName,
    steps: Annotated[
        int | None, typer.Option(min=0, help="Verify steps 1 to STEPS. Default: the newest step found in any stage.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(help="Stage to verify: kafka, redis or postgres. May be repeated. Default: all of them."),
    ] = None,
    kafka: Kafka = None,
    redis: Redis = None,
    postgres: Postgres = None,
    json_output: Json = False,
) -> None:
    """Simulate a market again, and compare Kafka, Redis and the store with it bit for bit. The exit code is 1 if they
    differ."""
    from pseudofeed.verify import verify_market

    connections = Connections.resolve(kafka=kafka, redis=redis, postgres=postgres)
    # Only the store knows a market that was backfilled and never fed.
    of = stored_or_registered if stage == ["postgres"] else registered
    report = verify_market(of(connections, name), connections, stages=stage, steps=steps)
    if json_output:
        print_json(report.to_dict())
    else:
        from pseudofeed.commands.display import verify_table

        stdout.print(verify_table(report), soft_wrap=True)  # a difference is one line, also in a pipe
    sys.exit(0 if report.equal else 1)


app.command()(latest)
app.command()(ticks)
app.command()(bars)


def _control(until_caught_up: bool = False) -> SignalControl:
    """A control that Ctrl-C and SIGTERM stop, and that shows progress on a terminal."""
    on_progress = None
    if stderr.is_terminal:
        from pseudofeed.commands.display import ProgressLine

        on_progress = ProgressLine(stderr).show
    return SignalControl(until_caught_up=until_caught_up, on_progress=on_progress).listen()
