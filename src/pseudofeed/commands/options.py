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
        from pseudofeed.moments import nanoseconds

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


MarketFile = Annotated[Path, typer.Argument(metavar="MARKET.toml", help="A market file; see docs/market-file.md.")]
MarketName = Annotated[str, typer.Argument(metavar="NAME", help="The name of a market that was fed once.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, on the last line.")]
Kafka = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Instead of PSEUDOFEED_KAFKA.")]
Redis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Instead of PSEUDOFEED_REDIS.")]
Postgres = Annotated[str | None, typer.Option("--postgres", metavar="DSN", help="Instead of PSEUDOFEED_POSTGRES.")]
# Within it a clock of any step stays an int64 of nanoseconds longer than anybody waits.
MOST_STEPS = 10**15
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_STEPS,
        help="Publish the steps 1 to STEPS. Without it, up to the market's clock.end, or until stopped.",
    ),
]
Speed = Annotated[
    float | None,
    typer.Option(callback=pace, help="Market time against wall time: 60 makes a minute pass in a second."),
]
Rate = Annotated[float | None, typer.Option(callback=pace, help="Ticks a second, all instruments together.")]
ModeOption = Annotated[
    Mode,
    typer.Option("--mode", callback=shape, help="block: many ticks a message. tick: one each, key = symbol."),
]
EncodingOption = Annotated[
    Encoding, typer.Option("--encoding", callback=shape, help="Of single ticks; blocks are always sbe.")
]
Partitions = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Of the topic, when the market is new. [default: 4]", show_default=False),
]
UntilCaughtUp = Annotated[bool, typer.Option("--until-caught-up", help="End at the topic's end.")]
