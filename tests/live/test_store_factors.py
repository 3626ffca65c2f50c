"""Factor levels are stored once each, bit for bit, beside the ticks."""

from __future__ import annotations

import numpy as np
import pytest
from confluent_kafka import Producer

from live.pipe import Until, differences, fed_market, history_differences
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import ensure_topic, topic_config
from pseudofeed.encode import encode_factor_block_into, factor_block_size
from pseudofeed.errors import TopicError
from pseudofeed.records import FACTOR
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

STEPS, BLOCK = 300, 20


def _feed_factors(connections: Connections, record: MarketRecord, first: int, steps: int) -> None:
    """The steps from `first` on, BLOCK steps a message, encoded from the arrays that simulate gives."""
    kafka = connections.require_kafka()
    ensure_topic(kafka, FACTOR.topic_of(record.name), 1, topic_config(FACTOR))
    paths = record.market.simulate(steps=first + steps - 1)
    producer = Producer(dict(kafka))
    for step in range(first, first + steps, BLOCK):
        rows = slice(step, step + BLOCK)
        increments = np.ascontiguousarray(paths.factor_increments[step - 1 : step - 1 + BLOCK])
        message = bytearray(factor_block_size(*increments.shape))
        encode_factor_block_into(
            message, 0, fingerprint=record.fingerprint, partition=0, first_step=step,
            times=np.ascontiguousarray(paths.time[rows]), increments=increments,
            levels=np.ascontiguousarray(paths.factor_levels[rows]),
        )  # fmt: skip
        producer.produce(FACTOR.topic_of(record.name), bytes(message), partition=0)
    assert producer.flush(10) == 0


def _factor_differences(connections: Connections, record: MarketRecord, steps: int) -> tuple[int, int, int]:
    market, paths = record.market, record.market.simulate(steps=steps)
    rows = (
        (paths.time[j], name, paths.factor_increments[j - 1, k], paths.factor_levels[j, k])
        for j in range(1, steps + 1)
        for k, name in enumerate(market.factors.names)
    )
    return history_differences(connections, record, "factor_history", ("factor", "increment", "level"), rows)


def test_factors_are_stored_once_beside_the_ticks(store_connections: Connections, market_name: str) -> None:
    connections = store_connections
    record = fed_market(connections, market_name, steps=STEPS)
    _feed_factors(connections, record, 1, STEPS // 2)
    assert store_market(record, connections, Until(), batch_rows=50).ticks == STEPS * 20
    _feed_factors(connections, record, STEPS // 2 + 1, STEPS // 2)
    for _ in range(2):
        summary = store_market(record, connections, Until(), batch_rows=50)
        assert (summary.ticks, summary.unreadable) == (0, 0)
    assert _factor_differences(connections, record, STEPS) == (STEPS * 2, 0, 0)
    assert differences(connections, record, STEPS) == (STEPS * 20, 0, 0)


def test_lost_factors_stop_the_worker(plain_connections: Connections, market_name: str) -> None:
    record = fed_market(plain_connections, market_name, steps=STEPS)
    _feed_factors(plain_connections, record, 1, 40)
    _feed_factors(plain_connections, record, 61, 40)
    topic = FACTOR.topic_of(market_name)
    with pytest.raises(TopicError, match=rf"topic {topic} .*expected step 41 of factor 0, found step 61 of factor 0"):
        store_market(record, plain_connections, Until())
    stored, unknown, _ = _factor_differences(plain_connections, record, STEPS)
    assert (stored % 2, unknown) == (0, 0)
