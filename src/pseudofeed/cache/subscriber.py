"""Quotes as they are pushed: what subscribers of the partitions' channels get, made whole again where it is not.

Pub/sub is at most once, and Redis drops subscribers that are too slow. So quotes are read whenever a subscription is a
new one, and when nothing has come for a while.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis
import redis.asyncio

from pseudofeed.cache.reader import CachedQuotes, QuoteReader
from pseudofeed.errors import DamagedQuote
from pseudofeed.random._random import default_floating_point

__all__ = ["IDLE_SECONDS", "Wanted", "pushed_quotes", "pushed_quotes_async", "read_message"]

IDLE_SECONDS = 5.0
FIRST_BACK_OFF = 0.02
LONGEST_BACK_OFF = 1.0


def pushed_quotes(client: redis.Redis, reader: QuoteReader, wanted: Wanted) -> Iterator[CachedQuotes]:
    """First all quotes, then whatever is newer than what was handed out before, without end; conflated where the caller
    is slower than the feed. `index` is a number of `wanted`, which `reader` reads.

    client: tries nothing again by itself. Raises redis.RedisError where the server does not answer at the start, later
    it is waited for; DamagedQuote.
    """
    begun = False
    back_off = FIRST_BACK_OFF
    while True:
        subscription: Any = client.pubsub()  # type: ignore[no-untyped-call, unused-ignore]
        try:
            subscription.subscribe(*wanted.channels)
            waiting = len(wanted.channels)
            while waiting:  # only what is published from now on is pushed
                message = subscription.get_message(timeout=IDLE_SECONDS)
                waiting -= message is not None and message["type"] == "subscribe"
            found = reader.newer(reader.fresh(wanted.order)) if begun else reader.read(wanted.order)
            begun, back_off = True, FIRST_BACK_OFF
            while True:
                if len(found):
                    yield found
                message = subscription.get_message(timeout=IDLE_SECONDS)
                if message is None:
                    found = reader.newer(reader.fresh(wanted.order))
                    continue
                messages = []
                while message is not None:
                    messages.append(message)
                    message = subscription.get_message(timeout=0)
                found = wanted.newest(reader, messages)
        except (redis.ConnectionError, redis.TimeoutError):
            if not begun:
                raise
            time.sleep(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF)
        finally:
            subscription.close()


async def pushed_quotes_async(
    client: redis.asyncio.Redis, reader: QuoteReader, wanted: Wanted
) -> AsyncIterator[CachedQuotes]:
    """The same on an event loop; what `reader` reads it reads in a thread."""
    begun = False
    back_off = FIRST_BACK_OFF
    while True:
        subscription: Any = client.pubsub()
        try:
            await subscription.subscribe(*wanted.channels)
            waiting = len(wanted.channels)
            while waiting:
                message = await subscription.get_message(timeout=IDLE_SECONDS)
                waiting -= message is not None and message["type"] == "subscribe"
            fresh = await asyncio.to_thread(reader.fresh, wanted.order)
            found = reader.newer(fresh)
            begun, back_off = True, FIRST_BACK_OFF
            while True:
                if len(found):
                    yield found
                message = await subscription.get_message(timeout=IDLE_SECONDS)
                if message is None:
                    found = reader.newer(await asyncio.to_thread(reader.fresh, wanted.order))
                    continue
                messages = []
                while message is not None:
                    messages.append(message)
                    message = await subscription.get_message(timeout=0)
                found = wanted.newest(reader, messages)
        except (redis.ConnectionError, redis.TimeoutError):
            if not begun:
                raise
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF)
        finally:
            await subscription.aclose()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber wants: numbers by symbol, and the channels that have them."""

    numbers: Mapping[str, int]
    channels: Sequence[str]

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(self.numbers.values())

    def newest(self, reader: QuoteReader, messages: Sequence[Mapping[str, Any]]) -> CachedQuotes:
        """What is newer in them, each instrument once."""
        changed = [
            reader.newer(read_message(message["channel"], message["data"], self.numbers)).index
            for message in messages
            if message["type"] == "message"
        ]
        return reader.held(np.unique(np.concatenate([np.empty(0, np.intp), *changed])))


@default_floating_point
def read_message(channel: str, text: str, numbers: Mapping[str, int]) -> CachedQuotes:
    """The quotes of a published message whose symbols are in `numbers`. Raises DamagedQuote."""
    nan = float("nan")
    try:
        message = json.loads(text)
        quotes = [quote for quote in message["quotes"] if quote["symbol"] in numbers]
        return CachedQuotes(
            np.array([numbers[quote["symbol"]] for quote in quotes], np.intp),
            np.full(len(quotes), message["epoch"], np.int64),
            np.array([quote["sequence"] for quote in quotes], np.int64),
            np.array([quote["time"].rstrip("Z") for quote in quotes], "M8[ns]").astype(np.int64),
            *(
                np.array([quote.get(name, nan) for quote in quotes], np.float64)
                for name in ("price", "variance", "open", "high", "low")
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise DamagedQuote(
            f"channel {channel} in Redis: {text[:60]!r} is not a message of a cache worker; another "
            "program publishes there"
        ) from None
