"""T1: a store worker may be killed at any time and at every step of its transaction; every tick is stored once."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable

import pytest

from live.pipe import Until, differences, fed_market
from live.warm import FAILPOINTS, drawn, warm_workers
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market

STEPS_A_KILL = 500
INSTRUMENTS = 20
KILLS = 25  # in each tier


@pytest.mark.time_limit(400)
def test_killed_workers_leave_every_tick_once(
    store_connections: Connections, market_name: str, repeats: Callable[[int], int]
) -> None:
    kills = repeats(KILLS)
    steps = kills * STEPS_A_KILL
    record = fed_market(store_connections, market_name, steps=steps, instruments=INSTRUMENTS, partitions=4)
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    died: Counter[str] = Counter()
    with warm_workers(store_connections, record) as workers:
        for number in range(kills):
            orders = drawn(moments, number)
            assert workers.wait(workers.start(orders)) == -9, f"{orders} was not met"
            died[orders.failpoint or ""] += 1
    assert set(died) == set(FAILPOINTS)
    before = differences(store_connections, record, steps)
    assert before[1] == 0
    assert 0 < before[0] < steps * INSTRUMENTS, "the kills were not in mid-stream"
    summary = store_market(record, store_connections, Until())
    assert summary.ticks == steps * INSTRUMENTS - before[0]
    assert differences(store_connections, record, steps) == (steps * INSTRUMENTS, 0, 0)
