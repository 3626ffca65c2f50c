"""Store workers forked from one warm process, so that a death costs no start of Python, and told when to die.

Run as a program it reads orders from standard input, one JSON object a line, and answers each with a number: the
process id of a started worker, or the exit code of one waited for. It makes no client of any server itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import psycopg

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.consume import Batch, consume_kind, consumer
from pseudofeed.errors import OffsetConflict, ServerError
from pseudofeed.operate.control import SignalControl
from pseudofeed.records import TICK
from pseudofeed.settings import Connections
from pseudofeed.store.sink import StoreSink
from pseudofeed.store.tables import copy_statement
from pseudofeed.store.worker import prepare_store

ANY_TIME = "at any time"
AFTER_POLL = "after poll"
AFTER_OFFSETS = "after the offset update"
MID_COPY = "in the middle of COPY"
BEFORE_COMMIT = "before COMMIT"
COMMIT_SENT = "after COMMIT was sent"
BEFORE_KAFKA = "before Kafka's commit"
BEFORE_OFFSETS = "before the offset update"  # where a frozen worker holds no lock: for zombies, not for kills
FAILPOINTS = (ANY_TIME, AFTER_POLL, AFTER_OFFSETS, MID_COPY, BEFORE_COMMIT, COMMIT_SENT, BEFORE_KAFKA)
SERVER_WAS_AWAY = 3  # exit code of a worker that was told to end while it waited for a server
REFUSED, ASSIGNED, LOST = "refused", "assigned", "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a worker does. failpoint: where it gets `signal`, at its `count`th time there; never where it is None.

    group: added to the consumer group's name. A dead member keeps its partitions until its session has timed out, 6 s:
    workers one after the other need not wait for that in groups of their own, since positions are the store's.
    """

    failpoint: str | None = None
    count: int = 1
    signal: int = signal.SIGKILL
    seconds: float = 0.0  # for ANY_TIME, after the first message
    group: str = ""
    batch_rows: int = 300
    batch_seconds: float = 0.01
    lanes: int = 2
    draining: bool = True
    consume: int = 1  # messages at a time: small batches are many places to die at
    notes: str | None = None  # a file that gets a line for each of REFUSED, ASSIGNED, LOST


class WarmWorkers:
    """The warm process as the tests see it."""

    def __init__(self, connections: Connections, record: MarketRecord) -> None:
        self._settings = {"connections": asdict(connections), "record": asdict(record)}
        tests = str(Path(__file__).parent.parent)
        self._program = subprocess.Popen(
            [sys.executable, "-m", "live.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": tests},
            text=True,
        )
        self._running: set[int] = set()

    def start(self, orders: Orders) -> int:
        """The process id of a new worker."""
        pid = self._order({"orders": asdict(orders), **self._settings})
        self._running.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """The exit code of a worker that ends by itself: the signal's number, negative, where it was killed."""
        code = self._order({"wait": pid})
        self._running.discard(pid)
        return code

    def end(self, pid: int, number: int = signal.SIGTERM) -> int:
        """The exit code of a worker that gets a signal."""
        os.kill(pid, number)
        return self.wait(pid)

    def _order(self, order: dict[str, Any]) -> int:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        return int(self._program.stdout.readline())

    def close(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait()


@contextmanager
def warm_workers(connections: Connections, record: MarketRecord) -> Iterator[WarmWorkers]:
    workers = WarmWorkers(connections, record)
    try:
        yield workers
    finally:
        workers.close()


def drawn(moments: random.Random, number: int) -> Orders:
    """The orders for kill `number`: all failpoints in turn, everything else drawn."""
    return Orders(
        failpoint=FAILPOINTS[number % len(FAILPOINTS)],
        count=moments.randint(1, 3),
        seconds=moments.uniform(0, 0.2),
        group=f".{number}",
        lanes=moments.randint(1, 2),
    )


# --- inside a worker -------------------------------------------------------------------------------------------------


class _Fate:
    """Sends the process its signal when its hour has come."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._left = orders.count
        self._begun = False

    def is_due(self, failpoint: str) -> bool:
        """Is this the time at this failpoint?"""
        if self._orders.failpoint != failpoint:
            return False
        self._left -= 1
        return self._left == 0

    def fulfil(self) -> None:
        os.kill(os.getpid(), self._orders.signal)

    def meet(self, failpoint: str) -> None:
        if self.is_due(failpoint):
            self.fulfil()

    def note(self, word: str) -> None:
        if self._orders.notes is not None:
            with Path(self._orders.notes).open("a") as notes:
                notes.write(f"{word}\n")

    def begin(self) -> None:
        """The first message has come."""
        if not self._begun and self._orders.failpoint == ANY_TIME:
            threading.Thread(target=self._later, daemon=True).start()
        self._begun = True

    def _later(self) -> None:
        time.sleep(self._orders.seconds)
        self.fulfil()


class _DoomedSink(StoreSink):
    fate: _Fate

    def _conflict(self, batches: Sequence[Batch]) -> OffsetConflict:
        self.fate.note(REFUSED)
        return super()._conflict(batches)

    def _move_offsets(self, connection: psycopg.Connection, batches: Sequence[Batch]) -> None:
        self.fate.meet(BEFORE_OFFSETS)
        super()._move_offsets(connection, batches)
        self.fate.meet(AFTER_OFFSETS)

    def _copy(self, connection: psycopg.Connection, rows: bytes) -> None:
        if self.fate.is_due(MID_COPY):
            with connection.cursor().copy(copy_statement(TICK)) as copy:
                copy.write(rows[: len(rows) // 2])
                connection.pgconn.flush()
                self.fate.fulfil()
                copy.write(rows[len(rows) // 2 :])
        else:
            super()._copy(connection, rows)
        self.fate.meet(BEFORE_COMMIT)
        if self.fate.is_due(COMMIT_SENT):
            connection.pgconn.send_query(b"COMMIT")
            connection.pgconn.flush()
            self.fate.fulfil()


def _work(order: dict[str, Any]) -> None:
    orders = Orders(**order["orders"])
    fate = _Fate(orders)

    class DoomedConsumer(confluent_kafka.Consumer):
        def __init__(self, properties: dict[str, Any], **more: Any) -> None:
            super().__init__({**properties, "group.id": properties["group.id"] + orders.group}, **more)

        def poll(self, timeout: float = -1) -> confluent_kafka.Message | None:
            message = super().poll(timeout)
            if message is not None and message.error() is None:
                fate.begin()
                fate.meet(AFTER_POLL)
            return message

        def consume(self, num_messages: int = 1, timeout: float = -1) -> list[confluent_kafka.Message]:
            return super().consume(min(num_messages, orders.consume), timeout)

        def subscribe(self, topics: Any, on_assign: Any = None, on_revoke: Any = None, on_lost: Any = None) -> None:
            def noted(word: str, callback: Any) -> Any:
                def call(*arguments: Any) -> None:
                    fate.note(word)
                    callback(*arguments)

                return call

            super().subscribe(
                topics, on_assign=noted(ASSIGNED, on_assign), on_revoke=on_revoke, on_lost=noted(LOST, on_lost)
            )

        def commit(self, *arguments: Any, **named: Any) -> Any:
            fate.meet(BEFORE_KAFKA)
            return super().commit(*arguments, **named)

    setattr(consumer, "Consumer", DoomedConsumer)  # noqa: B010
    connections = Connections(**order["connections"])
    record = MarketRecord(**order["record"])
    market, tier = prepare_store(record, connections)
    sinks = [_DoomedSink(connections, market, tier, TICK) for _ in range(orders.lanes)]
    for sink in sinks:
        sink.fate = fate
    control = SignalControl(until_caught_up=orders.draining).listen()
    consume_kind(
        record,
        TICK,
        connections,
        control,
        sinks,
        stage="store",
        batch_rows=orders.batch_rows,
        batch_seconds=orders.batch_seconds,
    )


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(2, 1)
        os.close(0)
        _work(order)
        code = 0
    except ServerError as problem:
        print(problem, file=sys.stderr)
        code = SERVER_WAS_AWAY
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        print(_exit_code(order["wait"]) if "wait" in order else _fork(order), flush=True)


if __name__ == "__main__":
    main()
