"""The quotes against the simulation: each must be its instrument's newest tick, bit for bit."""

from __future__ import annotations

import numpy as np
import redis

from pseudofeed.cache.connection import cache_error, open_redis
from pseudofeed.cache.reader import CachedQuotes, read_quotes
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import describe_tick
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_redis", "newest_redis"]

_STAGE = "redis"


def newest_redis(record: MarketRecord, connections: Connections) -> int:
    """The newest step of any quote; 0 where there is none."""
    return int(_quotes(record, connections).sequence.max(initial=0))


def compare_redis(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare every instrument's quote with its tick at `last_step`; an older quote counts as a missing tick."""
    market = record.market
    if last_step == 0:
        return
    quotes = _quotes(record, connections)
    place = np.full(len(market.symbols), -1, dtype=np.int64)
    place[quotes.index] = np.arange(len(quotes.index))
    (block,) = market.stream(start_step=last_step, steps=1, block_steps=1)
    time = int(block.time[0])
    tally.expected += len(market.symbols)
    tally.ticks += len(quotes.index)
    for number, symbol in enumerate(market.symbols):
        at = int(place[number])
        price, variance = block.prices[0, number], block.variances[0, number]
        sequence = int(quotes.sequence[at]) if at >= 0 else -1
        if sequence < last_step:
            kind, found = "missing", "no quote" if at < 0 else f"the quote of step {sequence}"
            tally.missing += 1
        elif sequence > last_step:
            kind, found = "unexpected", f"the quote of step {sequence}"
            tally.unexpected += 1
        elif (
            quotes.time[at] != time
            or quotes.price[at].tobytes() != price.tobytes()
            or quotes.variance[at].tobytes() != variance.tobytes()
        ):
            kind, found = "altered", describe_tick(int(quotes.time[at]), quotes.price[at], quotes.variance[at])
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


def _quotes(record: MarketRecord, connections: Connections) -> CachedQuotes:
    symbols = record.market.symbols
    partitions = instrument_partitions(symbols, record.partitions).tolist()
    client = open_redis(connections, name="pseudofeed-verify")
    try:
        return read_quotes(client, record.name, symbols, partitions)
    except redis.RedisError as problem:
        raise cache_error(problem, connections) from None
    finally:
        client.close()
