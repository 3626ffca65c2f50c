"""Backfills forked from one warm process and killed with -9, at random moments and at each step of a transaction.

    python -m live.doomed_backfill DSN MARKET_SPECIFICATION.json STEPS KILLS SEED

prints how many died at each place. It makes no connection itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import psycopg

from live.pipe import Until
from pseudofeed.market import Market
from pseudofeed.records import Columns
from pseudofeed.settings import Connections
from pseudofeed.store.backfill.claims import Claim
from pseudofeed.store.backfill.rows import ShardRows
from pseudofeed.store.backfill.run import backfill_market
from pseudofeed.store.backfill.writer import BackfillWriter

ANY_TIME = "at any time"
MID_COPY = "in the middle of COPY"
BEFORE_MARK = "before the mark"
BEFORE_COMMIT = "before COMMIT"
COMMIT_SENT = "after COMMIT was sent"
PLACES = (ANY_TIME, MID_COPY, BEFORE_MARK, BEFORE_COMMIT, COMMIT_SENT)
BATCH_ROWS = 100


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(connections: Connections, market: Market, steps: int, place: str, count: int, writers: int) -> None:
    left = [count]
    copy, mark = BackfillWriter._copy, BackfillWriter._mark

    def is_due(here: str) -> bool:
        if here != place:
            return False
        left[0] -= 1
        return left[0] == 0

    def doomed_copy(self: BackfillWriter, connection: psycopg.Connection, columns: Columns) -> None:
        copy(self, connection, columns)
        if is_due(MID_COPY):  # between the two COPYs
            _die()

    def doomed_mark(
        self: BackfillWriter, connection: psycopg.Connection, claim: Claim, rows: ShardRows, kept_ns: int | None
    ) -> None:
        if is_due(BEFORE_MARK):
            _die()
        mark(self, connection, claim, rows, kept_ns)
        if is_due(BEFORE_COMMIT):
            _die()
        if is_due(COMMIT_SENT):
            connection.pgconn.send_query(b"COMMIT")
            connection.pgconn.flush()
            _die()

    setattr(BackfillWriter, "_copy", doomed_copy)  # noqa: B010
    setattr(BackfillWriter, "_mark", doomed_mark)  # noqa: B010
    backfill_market(market, connections, Until(draining=False), end=str(steps), writers=writers, batch_rows=BATCH_ROWS)


def main() -> None:
    dsn, specification, steps, kills, seed = sys.argv[1:]
    connections = Connections(postgres=dsn)
    market = Market.from_specification(json.loads(Path(specification).read_text()))
    moments, died = random.Random(int(seed)), Counter[str]()
    for number in range(int(kills)):
        place, count, writers = PLACES[number % len(PLACES)], moments.randint(1, 8), moments.randint(1, 3)
        seconds = moments.uniform(0.02, 0.4)
        pid = os.fork()
        if pid == 0:
            try:
                _work(connections, market, int(steps), place, count, writers)
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        if place == ANY_TIME:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9:
            died[place] += 1
    print(json.dumps(died))


if __name__ == "__main__":
    main()
