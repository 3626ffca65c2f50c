"""The quotes against the simulation: each must be its instrument's newest tick, in every field and to the last digit.

The texts are compared as they stand, so that a damaged field cannot hide behind the way it is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import redis

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.keys import quote_key
from pseudofeed.cache.quotes import FIELDS, iso_time
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.market import Market
from pseudofeed.settings import Connections
from pseudofeed.times import format_time
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_redis", "newest_redis"]

_STAGE = "redis"
_SESSION = ("session", "open", "high", "low")

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
    expected = _expected(market, last_step)
    names = ("epoch", *FIELDS)
    tally.expected += len(market.symbols)
    for number, (symbol, quote) in enumerate(zip(market.symbols, _quotes(record, connections), strict=True)):
        right: _Fields = dict(zip(names, (str(record.epoch), *expected[number]), strict=True))
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
            kind, found = "altered", _tick(quote) + _others(quote, right, ("epoch", "sequence", "time_ns", *_SESSION))
            tally.altered += 1
        tally.note(
            Difference(
                stage=_STAGE,
                kind=kind,
                what="tick",
                of="instrument",
                market=market.name,
                symbol=symbol,
                step=last_step,
                expected=_tick(right) + (_others(right, quote, _SESSION) if kind == "altered" else ""),
                found=found,
                where="its quote",
            )
        )


def _expected(market: Market, last_step: int) -> list[tuple[str, ...]]:
    """The FIELDS of every instrument's quote at that step: the whole session is simulated."""
    session = market.clock.session(last_step)
    blocks = market.stream(start_step=session.first_step, steps=last_step - session.first_step + 1)
    block = next(blocks)
    opened, high, low = block.prices[0], block.prices.max(axis=0), block.prices.min(axis=0)
    for block in blocks:
        high, low = np.maximum(high, block.prices.max(axis=0)), np.minimum(low, block.prices.min(axis=0))
    stamp, time = iso_time(int(block.time[-1])), str(int(block.time[-1]))
    opening = format_time(session.opening_ns)
    columns = (block.prices[-1], block.variances[-1], opened, high, low)
    return [
        (str(last_step), stamp, time, repr(price), repr(variance), opening, *(repr(value) for value in values))
        for price, variance, *values in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _tick(quote: _Fields) -> str:
    return f"{quote['time']} price {quote['price']} variance {quote['variance']}"


def _others(shown: _Fields, other: _Fields, names: Sequence[str]) -> str:
    """Those of the fields in which the two differ, as `shown` has them."""
    return "".join(f", {name} {shown[name]}" for name in names if shown[name] != other[name])


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
