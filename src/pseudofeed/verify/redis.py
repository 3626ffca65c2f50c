"""The quotes against the simulation: each must be its instrument's newest tick, in every field and to the last digit.

The texts are compared as they stand, so that a damaged field cannot hide behind the way it is read.
"""

from __future__ import annotations

import redis

from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.keys import quote_key
from pseudofeed.cache.quotes import FIELDS, iso_time
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import describe_tick
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_redis", "newest_redis"]

_STAGE = "redis"

# A quote's fields by name; None for one that is not there.
_Fields = dict[str, str | None]


def newest_redis(record: MarketRecord, connections: Connections) -> int:
    """The step that half of the quotes have reached; 0 where there are none. One damaged quote does not decide."""
    steps = sorted(_step(quote) for quote in _quotes(record, connections))
    return max(0, steps[(len(steps) - 1) // 2])


def compare_redis(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare every instrument's quote with its tick at `last_step`; an older quote counts as a missing tick."""
    market = record.market
    if last_step == 0:
        return
    (block,) = market.stream(start_step=last_step, steps=1, block_steps=1)
    time = int(block.time[0])
    tally.expected += len(market.symbols)
    for number, (symbol, quote) in enumerate(zip(market.symbols, _quotes(record, connections), strict=True)):
        price, variance = float(block.prices[0, number]), float(block.variances[0, number])
        right: _Fields = {
            "epoch": str(record.epoch),
            "sequence": str(last_step),
            "time": iso_time(time),
            "time_ns": str(time),
            "price": repr(price),
            "variance": repr(variance),
        }
        there = any(value is not None for value in quote.values())
        tally.ticks += there
        if quote == right:
            continue
        step, ours = _step(quote), quote["epoch"] == right["epoch"]
        if not there:
            kind, found = "missing", "no quote"
            tally.missing += 1
        elif ours and 0 <= step < last_step:
            kind, found = "missing", f"the quote of step {step}"
            tally.missing += 1
        elif ours and step > last_step:
            kind, found = "unexpected", f"the quote of step {step}"
            tally.unexpected += 1
        else:
            kind, found = "altered", _describe(quote, right)
            tally.altered += 1
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


def _describe(quote: _Fields, right: _Fields) -> str:
    """The tick as it stands there, and what else is not right."""
    others = [f", {name} {quote[name]}" for name in ("epoch", "sequence", "time_ns") if quote[name] != right[name]]
    return f"{quote['time']} price {quote['price']} variance {quote['variance']}{''.join(others)}"


def _step(quote: _Fields) -> int:
    """-1 where there is none."""
    text = quote["sequence"] or ""
    return int(text) if text.isascii() and text.isdecimal() else -1


def _quotes(record: MarketRecord, connections: Connections) -> list[_Fields]:
    """The quote of each instrument, in the market's order, as it stands."""
    symbols, names = record.market.symbols, ("epoch", *FIELDS)
    client = open_redis(connections, name="pseudofeed-verify")
    try:
        pipeline = client.pipeline(transaction=False)
        for symbol, partition in zip(symbols, instrument_partitions(symbols, record.partitions).tolist(), strict=True):
            pipeline.hmget(quote_key(record.name, partition, symbol), list(names))
        return [dict(zip(names, values, strict=True)) for values in pipeline.execute()]
    except redis.RedisError as problem:
        raise cache_error(problem, connections) from None
    finally:
        client.close()
