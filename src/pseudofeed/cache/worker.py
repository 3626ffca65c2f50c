"""`pseudofeed cache`: the newest quote of every instrument, in Redis.

The worker holds the newest quote of each instrument of its partitions and what its session's open, high and low are. A
flush writes the quotes that have changed, one script call a partition (quote.lua, which lets the newest win and
publishes what it wrote), and with them the offset before which every message is in them. What of a quote's session
stands as this worker has written it before is left out, as long as nobody else writes there; once a second it is not.
Whenever the connection is a new one, or that offset is gone because somebody flushed the server, everything that the
worker holds is written again, whole.
Nothing in Redis needs to be durable; start.py says what a worker does that has just begun.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar

import numpy as np
import redis
from numpy.typing import NDArray

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import TopicInfo
from pseudofeed.cache.connection import cache_error, exchange, open_redis, packed_words
from pseudofeed.cache.keys import channel, progress_key, quote_key, ready_key
from pseudofeed.cache.quotes import NewestQuotes
from pseudofeed.cache.start import ColdStart, Warmup
from pseudofeed.consume import Batch, WorkerSummary, consume_kind
from pseudofeed.encode import instrument_partitions, members_of
from pseudofeed.errors import ServerError
from pseudofeed.operate.control import Control
from pseudofeed.records import TICK, Columns
from pseudofeed.settings import Connections

__all__ = ["CacheSink", "cache_market"]

_T = TypeVar("_T")

_log = logging.getLogger("pseudofeed.cache")
_log.addHandler(logging.NullHandler())

BATCH_ROWS = 200_000
# What a tick waits at most for others to be flushed with: nothing, a flush takes long enough for others to come. At
# 20,000 ticks/s, 4 partitions, from due to written, milliseconds: 0 s 9.1; 0.5 ms 9.9; 1 ms 12.3; 2 ms 12.7.
BATCH_SECONDS = 0.0
# A worker that conflates much rests before its next flush: nobody reads so fast, and it leaves the cores to the feed,
# the store and the servers. Much: instruments had that many ticks each since the last flush, which at 200 steps a
# second (20,000 ticks/s of 100 instruments) does not last even if a flush and a rest lie between.
CONFLATED = 5
REST_SECONDS = 0.01
LOOK_SECONDS = 1.0
# The script's answers: quotes in part don't fit what is there; the quotes that are there are not all ours.
SEND_WHOLE, NOT_AS_SENT = 2, 3
FIRST_BACK_OFF = 0.05
LONGEST_BACK_OFF = 2.0


def cache_market(
    record: MarketRecord,
    connections: Connections,
    control: Control,
    *,
    batch_rows: int = BATCH_ROWS,
    batch_seconds: float = BATCH_SECONDS,
) -> WorkerSummary:
    """Keep the market's newest quotes in Redis until `control` asks to stop, or, draining, all of the topic is there.

    Quotes are flushed `batch_seconds` after the first that is not written yet, or earlier where `batch_rows` ticks
    have come; of several ticks of an instrument in a flush only the newest is written. Raises ServerError where a
    server does not answer at the start (later it is waited for), and TopicError.
    """
    sink = CacheSink(record, connections)
    sink.open()
    return consume_kind(
        record, TICK, connections, control, [sink], stage="cache", batch_rows=batch_rows, batch_seconds=batch_seconds
    )


@dataclass(frozen=True, slots=True)
class _Sent:
    """Quotes of a partition in a flush. whole: everything of the partition is known, so its progress must be there."""

    partition: int
    instruments: NDArray[np.intp]
    whole: bool


class CacheSink:
    """See `pseudofeed.consume.Sink` for when what is called."""

    def __init__(self, record: MarketRecord, connections: Connections) -> None:
        self._record, self._connections = record, connections
        market = record.market
        self._partition_of = instrument_partitions(market.symbols, record.partitions)
        partitions = range(record.partitions)
        self._instruments = members_of(self._partition_of, record.partitions)
        self._keys = np.array(
            [
                packed_words(quote_key(record.name, int(partition), symbol))
                for symbol, partition in zip(market.symbols, self._partition_of, strict=True)
            ],
            dtype=object,
        )
        self._progress = [progress_key(record.name, partition) for partition in partitions]
        self._progress_words = [packed_words(key) for key in self._progress]
        self._channels = [channel(record.name, partition) for partition in partitions]
        self._quotes = NewestQuotes(market.clock, len(market.symbols))
        self._encoder = self._quotes.encoder(market.symbols)
        self._held: dict[int, Warmup] = {}
        # What every message of a partition is in the quotes before; a partition that is not warm yet has none.
        self._offsets: dict[int, int] = {}
        self._topic_id = ""
        self._ready = False
        self._flushed_at = self._looked_at = 0.0
        self._gave_up = threading.Event()
        self._new_connection = False
        self._writer = ""
        self._redis = open_redis(connections, name=f"pseudofeed-cache-{record.name}", on_connect=self._on_connect)
        self._script = resources.files("pseudofeed.cache").joinpath("quote.lua").read_text(encoding="utf-8")
        sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._evalsha = packed_words("EVALSHA", sha)

    def open(self) -> None:
        """Is the server there, and does it let us write? Raises ServerError."""
        try:
            self._redis.ping()
            if self._redis.info("replication").get("role") != "master":
                raise redis.ReadOnlyError("a replica")
        except redis.RedisError as problem:
            self._redis.close()
            raise cache_error(problem, self._connections) from None

    # --- pseudofeed.consume.Sink ---------------------------------------------------------------------------------

    def positions(self, topic: TopicInfo, partitions: Sequence[int]) -> Mapping[int, int]:
        self._topic_id = topic.topic_id or ""
        start = ColdStart(self._record, self._connections, self._redis, self._partition_of)
        begun = self._insist(lambda: start.begin(self._quotes, topic, partitions))
        self._held.update(begun)
        self._flush(self._held)
        return {partition: beginning.offset for partition, beginning in begun.items()}

    def write(self, batches: Sequence[Batch]) -> None:
        # All partitions at once: their instruments differ, and small arrays cost NumPy a microsecond a call.
        columns = Columns.concatenate(TICK, [batch.columns for batch in batches])
        self._quotes.take(columns)
        for batch in batches:
            if batch.to_offset >= self._held[batch.partition].warm_at:
                self._offsets[batch.partition] = batch.to_offset
        if len(columns) >= CONFLATED * np.count_nonzero(self._quotes.changed):
            self._gave_up.wait(self._flushed_at + REST_SECONDS - time.monotonic())
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._look()
        else:
            self._flush([batch.partition for batch in batches])
        self._flushed_at = time.monotonic()

    def idle(self) -> None:
        """Nothing to write: has the server lost what it had?"""
        if self._held:
            self._look()

    def drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._held.pop(partition, None)
            self._offsets.pop(partition, None)
            self._quotes.forget(self._instruments[partition])

    def finish(self) -> bool:
        return False

    def give_up(self) -> None:
        self._gave_up.set()

    def close(self) -> None:
        self._redis.close()

    # --- writing -----------------------------------------------------------------------------------------------------

    def _on_connect(self) -> None:
        """The server may be another one by now, or have older quotes than we wrote."""
        self._new_connection = True
        self._writer = uuid.uuid4().hex
        self._quotes.told.forget()

    def _flush(self, partitions: Collection[int]) -> None:
        self._insist(lambda: self._flush_once(partitions))

    def _insist(self, call: Callable[[], _T]) -> _T:
        """`call` until no server is away. Raises ServerError where it is told to give up, or waiting won't help."""
        back_off = FIRST_BACK_OFF
        while True:
            try:
                return call()
            except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.OutOfMemoryError) as problem:
                # A refused password is a ConnectionError too; open() has seen that it was right.
                meaning = cache_error(problem, self._connections)
                self._redis.close()
            except redis.RedisError as problem:
                raise cache_error(problem, self._connections) from None
            except ServerError as problem:  # Kafka's
                meaning = problem
            if back_off == FIRST_BACK_OFF:
                _log.warning("%s. Retrying until the server is back", meaning)
            if self._gave_up.wait(back_off):
                raise ServerError(f"{meaning}. The newest quotes were not written") from None
            back_off = min(2 * back_off, LONGEST_BACK_OFF)

    def _look(self) -> None:
        """Has the server lost any partition? And each quote's next write is a whole one, whoever has changed it."""
        self._looked_at = time.monotonic()
        self._quotes.told.forget()
        self._flush(self._held)

    def _flush_once(self, partitions: Collection[int]) -> None:
        """Write what has changed in these partitions; all that is held where the server may have lost it."""
        everything = loaded = False
        while True:
            sent: list[_Sent] = []

            def calls(sent: list[_Sent] = sent) -> Iterator[bytes]:
                nonlocal everything
                # Known only now that the connection is there.
                everything, self._new_connection = everything or self._new_connection, False
                openings = self._quotes.prepare()
                for partition in sorted(self._held if everything else partitions):
                    sent.append(self._choose(partition, everything))
                    yield self._call(sent[-1], openings)

            answers = exchange(self._redis, calls())
            if not loaded and any(isinstance(answer, redis.exceptions.NoScriptError) for answer in answers):
                self._redis.script_load(self._script)  # the server is new, or somebody flushed its scripts
                loaded = True
                continue
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            if SEND_WHOLE in answers:
                self._quotes.told.forget()
                continue
            self._ready = self._ready and not everything
            if all(bool(answer) or not each.whole for answer, each in zip(answers, sent, strict=True)):
                break
            if everything:
                return  # somebody flushes the server again and again
            everything = True
        written = np.zeros(len(self._keys), np.bool_)
        for each in sent:
            written[each.instruments] = True
        self._quotes.were_told(written)
        if NOT_AS_SENT in answers:
            self._quotes.told.forget()
        self._say_ready()

    def _choose(self, partition: int, everything: bool) -> _Sent:
        mine = self._instruments[partition]
        there = self._quotes.sequence[mine] > 0
        instruments = mine[there if everything else self._quotes.changed[mine]]
        return _Sent(partition, instruments, partition in self._offsets and bool(there.all()))

    def _call(self, sent: _Sent, openings: dict[int, str]) -> bytes:
        """The script's call for some quotes of a partition, packed."""
        partition, instruments = sent.partition, sent.instruments
        sequence = self._quotes.sequence[instruments].tolist() or [0]
        packed, published = self._encoder.encode(instruments, openings)
        return b"".join(
            (
                b"*%d\r\n" % (len(instruments) + 15),
                self._evalsha,
                packed_words(1 + len(instruments)),
                self._progress_words[partition],
                *self._keys[instruments].tolist(),
                packed_words(
                    self._record.epoch,
                    self._topic_id,
                    self._offsets.get(partition, ""),
                    int(len(instruments) == len(self._instruments[partition])),
                    self._channels[partition],
                    min(sequence),
                    max(sequence),
                    self._writer,
                    int(self._quotes.told.in_part[instruments].any()),
                    packed,
                    published,
                ),
            )
        )

    def _say_ready(self) -> None:
        """Once every partition's progress is there, ours and other workers', the market is ready."""
        if self._ready:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for name in self._progress:
            pipeline.exists(name)
        if all(pipeline.execute()):
            self._redis.set(ready_key(self._record.name), self._record.epoch)
            self._ready = True
