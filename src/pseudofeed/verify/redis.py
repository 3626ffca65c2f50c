"""The quotes against the simulation: each must be its instrument's newest tick, once, bit for bit."""

from __future__ import annotations

from pseudofeed.cache.quotes import read_quotes
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import describe_tick
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_redis", "newest_redis"]

_STAGE = "redis"


def newest_redis(record: MarketRecord, connections: Connections) -> int:
    """The newest step of any quote; 0 where there is none."""
    quotes = read_quotes(connections, record, record.market.symbols)
    return max((quote.sequence for quote in quotes if quote is not None), default=0)


def compare_redis(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare every instrument's quote with its tick at `last_step`; an older quote counts as a missing tick."""
    market = record.market
    if last_step == 0:
        return
    (block,) = market.stream(start_step=last_step, steps=1, block_steps=1)
    time = int(block.time[0])
    for number, quote in enumerate(read_quotes(connections, record, market.symbols)):
        symbol = market.symbols[number]
        price, variance = float(block.prices[0, number]), float(block.variances[0, number])
        tally.expected += 1
        tally.ticks += quote is not None
        if quote is None or quote.sequence < last_step:
            kind, found = "missing", "no quote" if quote is None else f"the quote of step {quote.sequence}"
            tally.missing += 1
        elif quote.sequence > last_step:
            kind, found = "unexpected", f"the quote of step {quote.sequence}"
            tally.unexpected += 1
        elif (quote.time, quote.price.hex(), quote.variance.hex()) != (time, price.hex(), variance.hex()):
            kind, found = "altered", describe_tick(quote.time, quote.price, quote.variance)
            tally.altered += 1
        else:
            continue
        tally.note(
            Difference(
                stage=_STAGE,
                kind=kind,
                market=market.name,
                symbol=symbol,
                step=last_step,
                expected=describe_tick(time, price, variance),
                found=found,
                where="its quote",
            )
        )
