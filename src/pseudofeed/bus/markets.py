"""The market records: everything that a worker needs to know about a market, in the compacted topic pseudofeed.markets.

The topic has one partition. The key is the market's name, and the value is JSON; an empty value (a tombstone) drops the
market. Two programs may register the same name at the same time, and compaction keeps only the last record of a key. So
the rule is: **the first record after a name's last tombstone is valid.** A program that registers a market writes its
record, reads the topic to its end, and accepts the valid record. If that is not its own, it writes the valid one again,
so that the last record equals the first and compaction changes nothing.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from confluent_kafka import (  # type: ignore[attr-defined, unused-ignore]
    KafkaError,
    KafkaException,
    Producer,
)

from pseudofeed.bus.clients import TIMEOUT, server_error, silent_logger
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import MARKETS_TOPIC, MARKETS_TOPIC_CONFIG, RECORD_BYTES, ensure_topic
from pseudofeed.errors import MalformedMessage, MarketChanged, TopicError, UnknownMarket
from pseudofeed.random._random import default_floating_point

if TYPE_CHECKING:
    from pseudofeed.market import Market

__all__ = ["DEFAULT_PARTITIONS", "MarketRecord", "drop_market", "read_market", "read_markets", "register_market"]

DEFAULT_PARTITIONS = 4


@dataclass(frozen=True)  # no slots: cached_property
class MarketRecord:
    """A registered market. partitions: of its topics, no part of the fingerprint. epoch: ms since 1970 when it was
    registered; a market that is dropped and registered again under its old name has a later one."""

    name: str
    specification: dict[str, Any]
    partitions: int
    epoch: int
    fingerprint: int

    @cached_property
    def market(self) -> Market:
        """The market itself, made from the specification at first use."""
        from pseudofeed.market import Market

        return Market.from_specification(self.specification)

    @default_floating_point
    def to_json(self) -> bytes:
        # The fingerprint is text because many JSON readers keep only 53 bits of a number.
        fields = {
            "name": self.name,
            "partitions": self.partitions,
            "epoch": self.epoch,
            "fingerprint": f"{self.fingerprint:016x}",
            "specification": self.specification,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode()

    @classmethod
    @default_floating_point
    def from_json(cls, name: str, value: bytes) -> MarketRecord:
        """MalformedMessage says what is wrong with it, e.g. a fingerprint that is not the specification's."""
        try:
            fields = json.loads(value)
            record = cls(
                name=fields["name"],
                specification=fields["specification"],
                partitions=int(fields["partitions"]),
                epoch=int(fields["epoch"]),
                fingerprint=int(fields["fingerprint"], 16),
            )
            actual = record.market.fingerprint
        except KeyError as error:
            raise MalformedMessage(f"the field {error} is missing") from None
        except Exception as error:  # whatever made it unreadable, the reader needs the place and the reason
            raise MalformedMessage(f"{type(error).__name__}: {error}") from None
        if record.name != name:
            raise MalformedMessage(f"its key is {name!r} and its name {record.name!r}")
        if record.partitions < 1:
            raise MalformedMessage(f"it has {record.partitions} partitions")
        if actual != record.fingerprint:
            raise MalformedMessage(
                f"its fingerprint is {record.fingerprint:016x}, but that of its specification {actual:016x}: it was "
                "altered, or written by another version of pseudofeed"
            )
        return record


def read_markets(kafka: Mapping[str, str]) -> dict[str, MarketRecord | MalformedMessage]:
    """Every registered market by name, in order of name. A record that cannot be read, e.g. one that another version
    wrote, is represented by the error, with its offset, and does not hide the others."""
    with TopicReader(kafka) as reader:
        standing = _standing(reader)
    found: dict[str, MarketRecord | MalformedMessage] = {}
    for name in sorted(standing):
        try:
            found[name] = _parse(name, *standing[name])
        except MalformedMessage as error:
            found[name] = error
    return found


def read_market(kafka: Mapping[str, str], name: str) -> MarketRecord:
    """The market of that name. Raises UnknownMarket, which lists the registered names."""
    with TopicReader(kafka) as reader:
        standing = _standing(reader)
    if name in standing:
        return _parse(name, *standing[name])
    close = difflib.get_close_matches(name, standing, n=3)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif standing:
        known = sorted(standing)
        hint = f"known are {', '.join(known[:10])}{' and others' if len(known) > 10 else ''}"
    else:
        hint = "none is registered"
    raise UnknownMarket(f"no market {name!r} is registered: {hint}. `pseudofeed feed MARKET.toml` registers a market")


def register_market(
    kafka: Mapping[str, str], market: Market, partitions: int | None = None, *, steps: int | None = None
) -> MarketRecord:
    """Register a market, or return the existing record if it is the same market.

    partitions: None means those of the record, or DEFAULT_PARTITIONS. The start "now" means the present time for a
    new market, and the registered start for a known one. A known market keeps the timetable of its record, whatever
    exchange_calendars gives now, unless the file has one of its own. steps: the least number of steps that the market
    must have. Raises MarketChanged naming every difference, SimulationError if it has fewer steps; a new market is not
    registered then.
    """
    if partitions is not None and partitions < 1:
        raise ValueError(f"partitions is {partitions}; a topic has at least 1")
    ensure_topic(kafka, MARKETS_TOPIC, 1, MARKETS_TOPIC_CONFIG)
    with TopicReader(kafka) as reader:
        standing = _standing(reader)
        if market.name not in standing:
            _write(kafka, market.name, _new_record(market, partitions, steps).to_json())
            standing = _standing(reader)
            if market.name not in standing:
                raise TopicError(f"market {market.name} was dropped by another program while it was registered")
        offset, value, is_last = standing[market.name]
        if not is_last:
            _write(kafka, market.name, value)
    record = _parse(market.name, offset, value, is_last)
    _compare(record, market, partitions)
    _check_steps(record.market, steps)
    return record


def drop_market(kafka: Mapping[str, str], name: str) -> None:
    """Remove the record, even if it cannot be read. The market's topics stay: delete them first
    (topics.delete_topic). UnknownMarket if there is none."""
    with TopicReader(kafka) as reader:
        if name not in _standing(reader):
            raise UnknownMarket(f"no market {name!r} is registered")
    _write(kafka, name, None)


def _check_steps(market: Market, steps: int | None) -> None:
    if steps is not None:
        market.clock.times(steps, 1)  # raises beyond the market's end or its timetable


def _new_record(market: Market, partitions: int | None, steps: int | None) -> MarketRecord:
    now = time.time_ns()
    if market.start_is_now:
        # Whole steps below a second, else whole seconds: times that people can read and a store can hold.
        grain = max(1_000, min(market.step_ns, 1_000_000_000))
        market = market.with_start(now - now % grain)
    market = market.settled()
    _check_steps(market, steps)
    return MarketRecord(
        name=market.name,
        specification=dict(market.specification),
        partitions=DEFAULT_PARTITIONS if partitions is None else partitions,
        epoch=now // 1_000_000,
        fingerprint=market.fingerprint,
    )


def _compare(record: MarketRecord, market: Market, partitions: int | None) -> None:
    differences = market.changes(record.specification, record.fingerprint)
    if partitions is not None and partitions != record.partitions:
        differences.append(f"partitions: {record.partitions} -> {partitions}")
    if differences:
        raise MarketChanged(
            f"market {record.name} is registered with other values:\n  "
            + "\n  ".join(differences)
            + "\nA market is its specification and seed: give the changed one another name"
            + (
                " (each path that is fed needs one)"
                if any(line.startswith("simulation.path") for line in differences)
                else ""
            )
        )


def _standing(reader: TopicReader) -> dict[str, tuple[int, bytes, bool]]:
    """name -> (offset, value, whether it equals the last record of that name)."""
    partitions = reader.partitions(MARKETS_TOPIC)
    if partitions == 0:
        return {}
    if partitions != 1:
        raise TopicError(f"topic {MARKETS_TOPIC} has {partitions} partitions; it must have 1, which keeps its order")
    low, _ = reader.watermarks(MARKETS_TOPIC, 1)
    first: dict[str, tuple[int, bytes]] = {}
    last: dict[str, bytes] = {}
    for message in reader.read(MARKETS_TOPIC, {0: int(low[0])}):
        name = (message.key() or b"").decode("utf-8", "replace")
        value = message.value()
        if not value:
            first.pop(name, None)
            continue
        first.setdefault(name, (message.offset() or 0, value))
        last[name] = value
    return {name: (offset, value, value == last[name]) for name, (offset, value) in first.items()}


def _parse(name: str, offset: int, value: bytes, _is_last: bool) -> MarketRecord:
    try:
        return MarketRecord.from_json(name, value)
    except MalformedMessage as error:
        raise MalformedMessage(f"{MARKETS_TOPIC}, offset {offset}, market {name!r}: {error}") from None


def _write(kafka: Mapping[str, str], name: str, value: bytes | None) -> None:
    """Returns when the broker has acknowledged it."""
    failures: list[KafkaError] = []
    try:
        producer = Producer(
            {
                "client.id": "pseudofeed-markets",
                "message.timeout.ms": int(TIMEOUT * 1000),
                **kafka,
                # A record written twice changes nothing, and an idempotent producer takes half a second to start.
                "enable.idempotence": False,
                "acks": "all",
                "linger.ms": 0,
                # 10,000 listed instruments take more than the megabyte that is the default on all sides. The broker
                # counts what is compressed, and gzip is what every client can read.
                "message.max.bytes": RECORD_BYTES,
                "compression.type": "gzip",
            },
            logger=silent_logger(),
        )
        producer.produce(
            MARKETS_TOPIC,
            key=name.encode(),
            value=value,
            partition=0,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        left = producer.flush(TIMEOUT + 5)
    except (KafkaException, BufferError) as error:
        raise server_error(kafka, f"rejects the record of market {name}", str(error)) from None
    if failures or left:
        reason = failures[0].str() if failures else "no acknowledgement"
        if failures and failures[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
            reason += (
                f" (it has {len(value or b''):,} bytes before compression; raise max.message.bytes of topic "
                f"{MARKETS_TOPIC}, which new ones have at {RECORD_BYTES:,})"
            )
        raise server_error(kafka, f"rejects the record of market {name}", reason)
