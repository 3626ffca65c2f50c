"""The producer: publishes blocks of ticks as messages of a topic, and counts acknowledgements.

The work is native (csrc/publish/producer.h): one call encodes and enqueues a whole block without the GIL. This class
chooses librdkafka's settings, waits in short slices so that Ctrl-C works, and gives up if nothing is acknowledged.

Reasons for the settings:
* A restarted feed reads only the last messages of each partition, so nothing may be missing before them. The
  idempotent producer keeps the order through retries. With `enable.gapless.guarantee`, a batch that the broker rejects
  stops everything. With `message.timeout.ms=0` (no limit), no single message expires while later ones are still sent.
  Instead, PublishError is raised after `stall_seconds` without any acknowledgement.
* A message that was given up may still have been written. It is never sent again: restart, read the topic's end
  (resume.py), and continue from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from pseudofeed.bus.properties import require
from pseudofeed.errors import PublishError, SettingsError
from pseudofeed.publish import _publish

if TYPE_CHECKING:
    from pseudofeed.simulate.paths import TickBlock

__all__ = [
    "BLOCK_TICKS",
    "ENCODINGS",
    "MODES",
    "QUEUE_BYTES",
    "Delivered",
    "PartitionCounts",
    "Producer",
]

MODES = ("block", "tick")
ENCODINGS = ("sbe", "json")

BLOCK_TICKS = 8_192
"""At most this many ticks a message (a step has at least its instruments). Measured: 100 instruments, 4 partitions,
lz4, one local Kafka 4.3, 2 busy cores, millions of ticks a second from encoding to acknowledgement, best of five:
1,024 ticks 2.3; 2,048 2.4; 4,096 2.6; 8,192 3.5; 16,384 3.7; 32,768 3.3. Beyond 8,192 only memory and latency
grow."""

QUEUE_BYTES = 64 << 20
"""The memory that queued and unacknowledged messages may take; librdkafka's own default is 1 GiB."""

MESSAGE_BYTES = 320
"""Bytes that a queued message of one tick takes in librdkafka: 200 of bookkeeping, and the allocator's overhead."""

SLICE_MS = 100
"""The longest native call, however large the block: Python's signal handlers run between two calls."""

_REFUSED = {
    "transactional.id": "the feed resumes from the topic's end and does not use transactions",
    "delivery.report.only.error": "the producer counts every delivery",
}
_GUARANTEES = {
    "enable.idempotence": ("true", "without it a retry may publish a message twice, or out of order"),
    "acks": ("all", "an acknowledged message must be on all in-sync replicas"),
    "enable.gapless.guarantee": ("true", "nothing may be published behind a message that was lost"),
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """Acknowledged ticks, messages and bytes. in_flight: messages accepted and not reported yet. failed: messages that
    were given up; `Producer` raises then. last: time.monotonic() at the last acknowledgement, 0.0 before the first."""

    ticks: int
    messages: int
    bytes: int
    in_flight: int
    failed: int
    last: float


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """(P,) int64 each: the last step acknowledged (0: none), messages and bytes handed to librdkafka."""

    acknowledged: NDArray[np.int64]
    messages: NDArray[np.int64]
    bytes: NDArray[np.int64]


def producer_properties(kafka: Mapping[str, str], queue_bytes: int) -> dict[str, str]:
    """Our settings, overridden by the user's except for the guarantees. Raises SettingsError for properties that can't
    be set."""
    for name, reason in _REFUSED.items():
        if name in kafka:
            raise SettingsError(f"Kafka property {name} can't be set: {reason}")
    for name, (value, reason) in _GUARANTEES.items():
        require(kafka, name, value, reason)
    return {
        "client.id": "pseudofeed-feed",
        "compression.type": "lz4",
        "linger.ms": "20",
        "message.timeout.ms": "0",
        "queue.buffering.max.kbytes": str(max(1, queue_bytes // 1024)),
        "queue.buffering.max.messages": str(max(1, queue_bytes // MESSAGE_BYTES)),
        **kafka,
        **{name: value for name, (value, _) in _GUARANTEES.items()},
    }


def _shape(mode: str, encoding: str) -> str:
    """The native producer's name for it. Raises ValueError if there is none."""
    if mode not in MODES or encoding not in ENCODINGS:
        raise ValueError(f"mode is {mode!r} and encoding {encoding!r}; they must be of {MODES} and {ENCODINGS}")
    if mode == "block" and encoding != "sbe":
        raise ValueError("a block is encoded in sbe; json is for mode tick")
    return "block" if mode == "block" else encoding


class Producer:
    """Publishes the ticks of a market with N instruments to a topic of P partitions.

    kafka: librdkafka properties, each overrides ours. symbols: N, the keys of single ticks. partitions: (N,) int32,
    the partition of each instrument. fingerprint: the market's. mode: "block", messages of at most `block_ticks` ticks;
    or "tick", a message each, its value in `encoding`, "sbe" or "json". factor_topic: of one partition, where the K =
    `factors` factors go; "": nowhere. `queue_bytes` is the memory budget of queued and unacknowledged messages. A
    context manager: leaving it flushes (10 s at most) unless an exception was raised, then closes. It is thread-safe.

    Raises SettingsError for properties that librdkafka rejects, PublishError if a step of a partition's instruments
    does not fit a message. Every later failure is a PublishError with partition, steps and librdkafka's reason; every
    further call raises it again.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: str,
        *,
        symbols: Sequence[str],
        partitions: NDArray[np.int32],
        partition_count: int,
        fingerprint: int,
        mode: str = "block",
        encoding: str = "sbe",
        factor_topic: str = "",
        factors: int = 0,
        block_ticks: int = BLOCK_TICKS,
        queue_bytes: int = QUEUE_BYTES,
        stall_seconds: float = 60.0,
    ) -> None:
        self._topic = topic
        self._servers = kafka.get("bootstrap.servers", "(bootstrap.servers is not set)")
        self._partition_count = partition_count
        self._stall_seconds = stall_seconds
        self._last_sign = 0.0
        shape = _shape(mode, encoding)
        try:
            self._native = _publish.NativeProducer(
                producer_properties(kafka, queue_bytes),
                topic,
                symbols=symbols,
                partitions=np.ascontiguousarray(partitions, dtype=np.int32),
                partition_count=partition_count,
                fingerprint=fingerprint,
                shape=shape,
                block_ticks=block_ticks,
                factor_topic=factor_topic,
                factors=factors,
            )
        except ValueError as error:
            raise SettingsError(f"the producer for {topic} can't be created: {error}") from None

    def connect(self, timeout: float = 1.0) -> bool:
        """Wait until messages can be sent without delay, `timeout` seconds at most; False if the server did not answer
        in that time. Without it an idempotent producer's first messages wait half a second."""
        deadline = time.monotonic() + timeout
        answers = 0
        while answers < 2:
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0:
                return False
            answers += self._native.ask(min(SLICE_MS, left_ms))
        return True

    def begin(
        self,
        *,
        steps: NDArray[np.int64] | None = None,
        ahead: NDArray[np.int64] | None = None,
        offsets: NDArray[np.int64] | None = None,
    ) -> None:
        """Before the first `publish`, what the topic holds, (P,) int64 each (None: zeros): of each partition the steps
        up to `steps`, and of the next one the ticks of the first `ahead` of its instruments. offsets: its end; from now
        on an acknowledgement at another offset than the one that is due is a failure, because another program writes to
        the topic."""
        zeros = np.zeros(self._partition_count, dtype=np.int64)
        self._native.begin(
            zeros if steps is None else np.ascontiguousarray(steps, dtype=np.int64),
            zeros if ahead is None else np.ascontiguousarray(ahead, dtype=np.int64),
            None if offsets is None else np.ascontiguousarray(offsets, dtype=np.int64),
        )

    def publish(self, block: TickBlock, *, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Enqueue the ticks of a block that come after what each partition holds and this producer has enqueued. The
        block has all instruments, in C-contiguous arrays.

        Waits while the queue is full. Returns False if `stopping()` was true meanwhile: then only the first ticks of
        each partition may have been enqueued. Raises ValueError if a partition would get a gap, or if JSON can't hold a
        value.
        """
        if self.delivered.in_flight == 0:
            self._last_sign = time.monotonic()
        while not self._native.publish(block.first_step, block.time, block.prices, block.variances, SLICE_MS):
            if stopping():
                return False
            self.check_moving()
        return True

    def begin_factors(self, *, step: int, offset: int) -> None:
        """Like `begin`, for the factor topic: it holds the steps up to `step`."""
        self._native.begin_factors(step, offset)

    def publish_factors(self, block: TickBlock, *, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Like `publish`, for the factors."""
        if self.delivered.in_flight == 0:
            self._last_sign = time.monotonic()
        while not self._native.publish_factors(
            block.first_step, block.time, block.factor_increments, block.factor_levels, SLICE_MS
        ):
            if stopping():
                return False
            self.check_moving()
        return True

    @property
    def factor_step(self) -> int:
        """The last step of the factors that is acknowledged; 0: none."""
        return self._native.factor_step()

    @property
    def factor_messages(self) -> int:
        """Messages of factors that were handed to librdkafka."""
        return self._native.factor_messages()

    def flush(self, timeout: float = 10.0) -> int:
        """Send queued messages and wait for acknowledgement, `timeout` seconds at most. Returns how many are left."""
        deadline = time.monotonic() + timeout
        while True:
            left_ms = int((deadline - time.monotonic()) * 1000)
            left = self._native.flush(max(0, min(SLICE_MS, left_ms)))
            if left == 0 or left_ms <= 0:
                return left

    def poll(self) -> None:
        """Process the delivery reports received so far; raises the failure, if any."""
        self._native.poll()

    @property
    def delivered(self) -> Delivered:
        """What has been acknowledged. Processes reports first, so it is up to date between two blocks, too."""
        accepted, messages, ticks, size, failed, silence_ns = self._native.counts()
        last = 0.0 if silence_ns < 0 else time.monotonic() - silence_ns / 1e9
        return Delivered(ticks, messages, size, accepted - messages - failed, failed, last)

    def partition_counts(self) -> PartitionCounts:
        counts = PartitionCounts(*(np.zeros(self._partition_count, dtype=np.int64) for _ in range(3)))
        self._native.partition_counts(counts.acknowledged, counts.messages, counts.bytes)
        return counts

    def message_steps(self, partition: int) -> int:
        """Steps of a full message of the partition, 0 if it has no instruments. Blocks with a multiple of these steps
        are best for `publish`."""
        return self._native.message_steps(partition)

    def give_up(self, doing: str) -> PublishError:
        """The error for a server that no longer acknowledges messages."""
        in_flight = self.delivered.in_flight
        reason = self._native.last_error()
        return PublishError(
            f"{doing}: Kafka at {self._servers} has not acknowledged {in_flight} message{'s' * (in_flight != 1)} of "
            f"{self._topic}{': ' + reason if reason else ''}. Start the feed again when the server answers: it reads "
            "the topic's end and goes on from there"
        )

    def check_moving(self) -> None:
        """Raise PublishError if nothing was acknowledged for `stall_seconds` though messages wait for it."""
        delivered = self.delivered
        self._last_sign = max(self._last_sign, delivered.last)
        if delivered.in_flight == 0:
            self._last_sign = time.monotonic()
        elif time.monotonic() - self._last_sign > self._stall_seconds:
            raise self.give_up(f"no message was acknowledged for {self._stall_seconds:g} s")

    def close(self) -> None:
        """Close at once; unacknowledged messages are given up. Any thread may call it, repeatedly. A call in progress
        in another thread raises PublishError, and so does every later call except those that read counts."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None and self.flush() > 0:
                raise self.give_up("closing after 10 s")
        finally:
            self.close()
