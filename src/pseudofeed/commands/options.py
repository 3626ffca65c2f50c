"""Options and arguments that several commands of the command line share, and what is checked of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "MOST_STEPS",
    "Encoding",
    "EncodingOption",
    "Json",
    "Kafka",
    "MarketFile",
    "MarketName",
    "Mode",
    "ModeOption",
    "Partitions",
    "Postgres",
    "Rate",
    "Redis",
    "Speed",
    "Steps",
    "UntilCaughtUp",
    "moment",
]


def pace(context: typer.Context, value: float | None) -> float | None:
    """--rate or --speed, and not both: one of them sets the pace."""
    if value is not None:
        if not 0 < value < float("inf"):
            raise typer.BadParameter(f"{value} is not above 0")
        if any(context.params.get(name) is not None for name in ("rate", "speed")):
            raise typer.BadParameter("--rate and --speed can't both be given: one of them sets the pace")
    return value


def moment(value: str | None) -> str | None:
    """A time that `Client.ticks` understands."""
    if value is not None:
        from pseudofeed.times import nanoseconds

        try:
            nanoseconds(value, "this")
        except ValueError as problem:
            raise typer.BadParameter(str(problem)) from None
    return value


class Mode(StrEnum):
    """What a message holds."""

    block = "block"
    tick = "tick"


class Encoding(StrEnum):
    """How a single tick is written."""

    sbe = "sbe"
    json = "json"


def shape(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """--mode and --encoding: JSON is for single ticks."""
    chosen = {"mode": "tick", "encoding": "sbe", **context.params, str(parameter.name): value}
    if chosen["encoding"] == "json" and chosen["mode"] == "block":
        raise typer.BadParameter("a block is encoded in sbe; --encoding json needs --mode tick")
    return value


MarketFile = Annotated[Path, typer.Argument(metavar="MARKET.toml", help="Market file; see docs/market-file.md.")]
MarketName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a market that was fed before.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on the last line.")]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Kafka servers; overrides PSEUDOFEED_KAFKA.")
]
Redis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Redis server; overrides PSEUDOFEED_REDIS.")]
Postgres = Annotated[
    str | None, typer.Option("--postgres", metavar="DSN", help="PostgreSQL database; overrides PSEUDOFEED_POSTGRES.")
]
# With this many steps the nanoseconds of a clock with any step length still fit an int64 for all practical times.
MOST_STEPS = 10**15
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_STEPS,
        help="Publish steps 1 to STEPS. Default: up to the market's clock.end, or until stopped.",
    ),
]
Speed = Annotated[
    float | None,
    typer.Option(callback=pace, help="Speed of market time relative to wall time: 60 plays a minute in a second."),
]
Rate = Annotated[float | None, typer.Option(callback=pace, help="Ticks per second, over all instruments.")]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        callback=shape,
        help="Content of a message: a block of many ticks, or a single tick with its symbol as key.",
    ),
]
EncodingOption = Annotated[
    Encoding, typer.Option("--encoding", callback=shape, help="Encoding of a single tick; blocks are always SBE.")
]
Partitions = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Number of partitions of a new market's tick topic. [default: 4]", show_default=False
    ),
]
UntilCaughtUp = Annotated[bool, typer.Option("--until-caught-up", help="Stop at the end of the topic.")]
