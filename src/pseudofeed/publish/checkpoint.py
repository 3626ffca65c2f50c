"""Checkpoints of a feed: the simulation's state, in a compacted topic of its own.

A state of step S is sent only when every partition of every topic has acknowledged S: so whoever finds it need not look
at anything before S. It goes out in parts under one of two sets of keys in turn: compaction, which keeps the newest
message of a key, never takes the last whole state away while the next one is being written. The set changes only when
all parts of a state were acknowledged.

One is due when walking since the last one has cost WALK_SECONDS: that is about what a feed that goes on has to walk
again, however long the market is. A feed that ends sends its last state in any case.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    KafkaError,
    KafkaException,
    Producer,
)
from numpy.typing import NDArray

from pseudofeed.bus.clients import silent_logger
from pseudofeed.bus.reader import TopicReader
from pseudofeed.encode import MAXIMUM_PART, StateRecord, decode_state, encode_state, peek_state
from pseudofeed.errors import MalformedMessage
from pseudofeed.simulate.state import MarketState, state_form

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["WALK_SECONDS", "StateSender", "newest_state"]

_log = logging.getLogger("pseudofeed.publish")

WALK_SECONDS = 0.5
_FLUSH_SECONDS = 5.0
_BYTES_OF_INSTRUMENT = 16  # of a state, at least: price and variance


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """A state that is sent once all partitions have acknowledged its step. offsets: by topic, (P,), the next one to be
    written in each partition behind that step."""

    state: MarketState
    offsets: Mapping[str, NDArray[np.int64]]


class StateSender:
    """Sends a market's states to `topic`. key_set: 0 or 1, the one that the newest stored state does not have."""

    def __init__(self, kafka: Mapping[str, str], topic: str, market: Market, *, key_set: int) -> None:
        self._kafka, self._topic = kafka, topic
        self._fingerprint, self._version = market.fingerprint, state_form(market).version
        self._key_set = key_set
        self._walked = 0.0
        self._proposal: _Proposal | None = None
        self._under_way = 0  # parts of the state that was sent last
        self._failed = False  # whether one of its parts was not delivered
        self._producer: Producer | None = None
        self._warned = False

    def walked(self, seconds: float) -> None:
        """Count the time that a walk has taken."""
        self._walked += seconds

    @property
    def due(self) -> bool:
        """Whether a state is to be proposed. Not while one waits: where acknowledgements lag behind, each would replace
        the one before, and none would ever be sent."""
        return self._walked >= WALK_SECONDS and self._proposal is None and not self._under_way

    def propose(self, state: MarketState, offsets: Mapping[str, NDArray[np.int64]]) -> None:
        """This state is to be sent as soon as its step is acknowledged everywhere."""
        self._proposal = _Proposal(state, offsets)
        self._walked = 0.0

    def acknowledged(self, step: int) -> None:
        """All partitions have acknowledged the steps up to `step`: send what has waited for that."""
        if self._producer is not None:
            self._producer.poll(0)
        if self._proposal is None or self._proposal.state.step > step or self._under_way:
            return
        proposal, self._proposal = self._proposal, None
        parts = encode_state(
            proposal.state.arrays,
            fingerprint=self._fingerprint,
            step=proposal.state.step,
            version=self._version,
            key_set=self._key_set,
            offsets=proposal.offsets,
        )
        self._failed = False
        try:
            if self._producer is None:
                self._producer = self._make_producer()
            for key, value in parts:
                self._producer.produce(self._topic, value, key=key, partition=0, on_delivery=self._delivered)
                self._under_way += 1
        except (KafkaException, BufferError) as error:
            self._failed = True
            self._warn(str(error))

    def _make_producer(self) -> Producer:
        own = {"enable.idempotence": True, "acks": "all", "linger.ms": 0}
        return Producer({"client.id": "pseudofeed-state", **self._kafka, **own}, logger=silent_logger())

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        self._under_way -= 1
        if error is not None:
            self._failed = True
            self._warn(error.str())
        # A state that is not there as a whole is overwritten by the next one: the other set holds the last whole one.
        if not self._under_way and not self._failed:
            self._key_set = 1 - self._key_set

    def _warn(self, reason: str) -> None:
        """Nothing is lost without a state; only the next start takes longer."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "topic %s does not accept the simulation's state (%s): the next feed of this market starts more slowly",
                self._topic,
                reason,
            )

    def settle(self) -> None:
        """Wait for what is under way, some seconds at most."""
        if self._producer is not None and self._producer.flush(_FLUSH_SECONDS):
            self._warn("no acknowledgement")


def newest_state(
    kafka: Mapping[str, str], topic: str, market: Market, *, fits: Callable[[StateRecord], bool]
) -> StateRecord | None:
    """The newest whole state of this market in `topic` that `fits`; None where there is none, or no such topic. One
    that is incomplete, damaged, of another market or in another version of the format is passed over."""
    with TopicReader(kafka) as reader:
        if reader.partitions(topic) == 0:
            return None
        low, high = (int(ends[0]) for ends in reader.watermarks(topic, 1))
        start = high
        back = 2 * (1 + _BYTES_OF_INSTRUMENT * len(market.symbols) // MAXIMUM_PART)
        while start > low:
            start = max(low, high - back)
            messages = [message.value() or b"" for message in reader.read(topic, {0: start})]
            for record in reversed(list(_whole_states(messages, market))):
                if fits(record):
                    return record
            back *= 8
    return None


def _whole_states(messages: list[bytes], market: Market) -> Iterator[StateRecord]:
    """In their order. The parts of a state lie one behind the other; compaction leaves a part of one at most."""
    parts: list[bytes] = []
    for message in messages:
        try:
            header = peek_state(message)
        except MalformedMessage:
            parts = []
            continue
        parts = [message] if header.part == 0 else [*parts, message]
        if header.part == header.parts - 1:
            with contextlib.suppress(MalformedMessage):
                yield decode_state(parts, fingerprint=market.fingerprint)
