"""The topic against the simulation: each partition from its oldest message to its end as it is now."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition
from numpy.typing import NDArray

from pseudofeed.consume.consumer import open_consumer
from pseudofeed.encode._encode import decode_tick_blocks, peek_tick_block
from pseudofeed.encode.partitions import instrument_partitions
from pseudofeed.errors import MalformedMessage, ServerError
from pseudofeed.market import Market
from pseudofeed.publish.markets import MarketRecord
from pseudofeed.publish.topics import TopicState, describe, tick_topic
from pseudofeed.settings import Connections
from pseudofeed.verify.compare import Comparison
from pseudofeed.verify.report import Difference, StageTally

__all__ = ["compare_kafka"]

_STAGE = "kafka"
# A batch of messages that is decoded at once: enough to fill a window, few enough for the memory of some blocks.
_MESSAGES = 64
_TIMEOUT = 10.0


def compare_kafka(record: MarketRecord, connections: Connections, tally: StageTally, last_step: int) -> None:
    """Compare all that the topic still holds. Steps that retention has deleted before the oldest message are not
    missing."""
    market = record.market
    kafka = connections.require_kafka()
    state = describe(kafka, tick_topic(record.name))
    consumer = open_consumer(kafka, f"pseudofeed.verify.{record.name}", lambda _error, _offsets: None)
    try:
        partitions = instrument_partitions(market.symbols, record.partitions)
        for partition in range(record.partitions):
            members = np.flatnonzero(partitions == partition)
            _compare_partition(consumer, record, market, state, partition, members, tally, last_step, connections)
    finally:
        consumer.close()


def _compare_partition(
    consumer: Consumer,
    record: MarketRecord,
    market: Market,
    state: TopicState,
    partition: int,
    members: NDArray[np.int64],
    tally: StageTally,
    last_step: int,
    connections: Connections,
) -> None:
    topic = tick_topic(record.name)
    low, high = int(state.low[partition]), int(state.high[partition])
    if not len(members) and low == high:
        return
    consumer.assign([TopicPartition(topic, partition, low)])
    comparison: Comparison | None = None
    position = low
    while position < high:
        messages = consumer.consume(_MESSAGES, _TIMEOUT)
        if not messages:
            raise ServerError(
                f"Kafka at {connections.describe_kafka()}: partition {partition} of {topic} gives nothing at offset "
                f"{position}, though it goes to {high}; is the broker up (PSEUDOFEED_KAFKA)?"
            )
        values: list[bytes] = []
        offsets: list[int] = []
        ended = False
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    ended = True
                    continue
                raise ServerError(f"Kafka at {connections.describe_kafka()}: reading {topic}: {error.str()}")
            offset, value = message.offset(), message.value()
            if offset is None or offset >= high:
                continue
            values.append(value or b"")
            offsets.append(offset)
            position = offset + 1
        if values:
            if comparison is None:
                first = 1
                if low > 0 and len(members):
                    first = _first_step(values[0], topic, partition, offsets[0])
                comparison = Comparison(
                    market, members, stage=_STAGE, tally=tally, last_step=last_step, first_step=first
                )
            _add(comparison, market, topic, partition, values, offsets, record.fingerprint)
        # Offsets have gaps (control records, compaction): the end can come before the last offset does.
        if ended:
            break
    if comparison is None:
        comparison = Comparison(market, members, stage=_STAGE, tally=tally, last_step=last_step)
    comparison.finish()


def _add(
    comparison: Comparison,
    market: Market,
    topic: str,
    partition: int,
    values: list[bytes],
    offsets: list[int],
    fingerprint: int,
) -> None:
    try:
        columns = decode_tick_blocks(values, fingerprint=fingerprint, partition=partition)
        ends = np.cumsum([peek_tick_block(value).ticks for value in values])
        comparison.add(columns, _place(topic, partition, offsets, ends))
    except MalformedMessage:
        # One message at a time finds the damaged one; the ticks it should have held show up as missing.
        for value, offset in zip(values, offsets, strict=True):
            try:
                columns = decode_tick_blocks([value], fingerprint=fingerprint, partition=partition)
            except MalformedMessage as problem:
                comparison.reject(
                    Difference(
                        stage=_STAGE,
                        kind="unexpected",
                        market=market.name,
                        symbol=None,
                        step=None,
                        expected="a tick block",
                        found=str(problem),
                        where=f"{topic} partition {partition} offset {offset}",
                    )
                )
            else:
                comparison.add(columns, _place(topic, partition, [offset], np.array([len(columns)])))


def _place(topic: str, partition: int, offsets: list[int], ends: NDArray[np.int64]) -> Callable[[int], str]:
    def where(index: int) -> str:
        message = int(np.searchsorted(ends, index, side="right"))
        return f"{topic} partition {partition} offset {offsets[message]}"

    return where


def _first_step(value: bytes, topic: str, partition: int, offset: int) -> int:
    try:
        return peek_tick_block(value).first_step
    except MalformedMessage as problem:
        raise MalformedMessage(
            f"{topic} partition {partition} offset {offset}, its oldest message: {problem}; "
            f"so it cannot be told from which step on it should hold ticks"
        ) from None


def newest_kafka(record: MarketRecord, connections: Connections) -> int:
    """The newest step of any partition; 0 where the topic is empty."""
    from pseudofeed.publish.resume import last_sequences

    last = last_sequences(
        connections.require_kafka(), tick_topic(record.name), record.partitions, fingerprint=record.fingerprint
    )
    return int(last.max(initial=0))
