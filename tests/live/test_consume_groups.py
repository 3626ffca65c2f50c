"""Workers that share a group and change places. On a real broker: librdkafka's mock takes 5 s for each rebalance, and
now and then does a dozen of them in a row."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from live.pipe import Until, fed_market
from live.recorder import Recorder
from pseudofeed.bus.markets import MarketRecord
from pseudofeed.consume import Batch, WorkerSummary, consume_kind, partitions
from pseudofeed.errors import ServerError
from pseudofeed.records import TICK
from pseudofeed.settings import Connections

INSTRUMENTS, STEPS = 10, 400


@pytest.fixture
def record(connections: Connections, market_name: str) -> MarketRecord:
    return fed_market(connections, market_name, steps=STEPS, instruments=INSTRUMENTS, partitions=2)


class Held(Recorder):
    """Its first write hangs until `release`."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def before(self, batches: Sequence[Batch]) -> None:
        del batches
        assert self.release.wait(60)


def _consume(record: MarketRecord, connections: Connections, sink: Recorder, control: Until) -> WorkerSummary:
    kafka = {**connections.require_kafka(), "heartbeat.interval.ms": "300"}  # how soon a member sees others come and go
    return consume_kind(
        record,
        TICK,
        replace(connections, kafka=kafka),
        control,
        [sink],
        stage="groups",
        batch_rows=40,
        batch_seconds=0.0,
    )


def test_a_partition_that_left_while_it_was_paused_is_read_when_it_comes_back(
    connections: Connections, record: MarketRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Passing(Recorder):
        def before(self, batches: Sequence[Batch]) -> None:
            del batches
            self.gave_up.wait(60)
            raise ServerError("never writes")

    def worker(control: Until, sink: Recorder) -> threading.Thread:
        def work() -> None:
            with contextlib.suppress(ServerError):
                _consume(record, connections, sink, control)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    monkeypatch.setattr(partitions, "REVOKE_WAIT_SECONDS", 0.5)
    staying, passing = Until(draining=False), Until(draining=False)
    held, visitor = Held(), Passing()
    stays = worker(staying, held)
    while not held.asked:
        time.sleep(0.05)
    time.sleep(2)  # its first write hangs, its next batch is full: the partitions are paused by now
    passes = worker(passing, visitor)
    while not visitor.asked:
        time.sleep(0.05)
    passing.stopping = True
    passes.join(60)
    (came_back,) = visitor.asked[0]
    held.release.set()
    while came_back not in [partition for asked in held.asked[1:] for partition in asked]:
        time.sleep(0.05)
    staying.draining = True
    stays.join(60)
    finished = not stays.is_alive()
    staying.stopping = True
    stays.join(10)
    assert finished, "the partition that came back was never read"
    assert [held.sequences(partition) for partition in (0, 1)] == [list(range(1, STEPS + 1))] * 2


def test_a_draining_worker_stays_while_another_has_something_left(
    connections: Connections, record: MarketRecord
) -> None:
    """A partition that changes hands is nobody's for a while: if all left who have nothing to do then, it would
    stay so."""
    busy, helping = Held(), Recorder()
    helping.next = busy.next
    with ThreadPoolExecutor(2) as workers:
        working = workers.submit(_consume, record, connections, busy, Until())
        while not busy.asked:
            time.sleep(0.05)
        waiting = workers.submit(_consume, record, connections, helping, Until())
        time.sleep(3)  # joined, with nothing assigned: what it is to get is held until a write ends, for 5 s at most
        left_early = waiting.done()
        busy.release.set()
        ticks = working.result().ticks + waiting.result().ticks
    assert not left_early
    assert ticks == STEPS * INSTRUMENTS
    for partition in (0, 1):
        assert sorted(busy.sequences(partition) + helping.sequences(partition)) == list(range(1, STEPS + 1))
