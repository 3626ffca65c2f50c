"""`pseudofeed backfill`: a market simulated straight into the store, without Kafka.

A range of steps is claimed (claims.py), cut into a section for each connection, and each section is simulated (rows.py)
and committed batch after batch with the mark that covers it (writer.py); chunks are indexed behind their rows. What is
marked is done: so to start it again after whatever ended it goes on with what is left, with as many connections as one
likes, and two backfills of one market at a time do nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from pseudofeed.market import Market
from pseudofeed.operate.control import Control, Progress
from pseudofeed.records import TICK, Kind
from pseudofeed.settings import Connections
from pseudofeed.simulate.state import MarketState
from pseudofeed.simulate.stream import advance
from pseudofeed.store.backfill.bounds import steps_between
from pseudofeed.store.backfill.claims import Claim, read_claims
from pseudofeed.store.backfill.files import day_files, write_day_files
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.backfill.steps import intersect, merge
from pseudofeed.store.backfill.writer import BackfillWriter, Committed
from pseudofeed.store.connection import open_connection, store_error
from pseudofeed.store.registry import StoredMarket, check_storable, register_without_kafka
from pseudofeed.store.schema import Tier, migrate

__all__ = ["BATCH_ROWS", "CONNECTIONS", "BackfillSummary", "backfill_market"]

# 1.5 million ticks of 100 instruments into TimescaleDB, their index made behind them, thousand ticks/s on 2 busy cores.
# One connection, three rounds: 100,000 rows 378, 299, 307; 200,000 382, 277, 373; 400,000 292, 293, 281; 1,000,000 225,
# 262, 293. Two connections, the median of five: 483, 501, 445. A row takes some 100 bytes of memory.
BATCH_ROWS = 200_000
# Against one connection, batches of 400,000: 1.08, 1.04 and 1.52 times as fast; a server with cores of its own has more
# of it.
CONNECTIONS = 2
REPORT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """ticks: committed in this run; rows: the same of every kind, by its name. seconds: from the beginning to the last
    commit. first_step: where the range begins; last_step: up to which it is complete (0: not begun). steps_left: of the
    range, when it was asked to stop. files: of Parquet, written or found complete.
    """

    ticks: int
    seconds: float
    ticks_per_second: float
    first_step: int
    last_step: int
    steps_left: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    files: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """The steps first to last of a claim, to be written one after the other."""

    claim: Claim
    first: int
    last: int


def backfill_market(
    market: Market,
    connections: Connections,
    control: Control,
    *,
    begin: str | None = None,
    end: str | None = None,
    writers: int = CONNECTIONS,
    batch_rows: int = BATCH_ROWS,
    directory: Path | None = None,
    on_market: Callable[[Market], None] | None = None,
) -> BackfillSummary:
    """Write the market's records into the store, from `begin` to `end` (see `steps_between`), as far
    as they are not there yet: what a backfill has done, and what the stream had stored, is left as it is.

    directory: where Parquet files are written, too, after the store (files.py). on_market: called with the market as
    the store has it. writers: connections, each with a thread; memory is some 100 bytes for each of `batch_rows` ticks
    of each. Ends early when `control.stopping`, with what is simulated committed. Raises SettingsError for a range that
    the market does not have or a file in the way, ServerError, StoreError, MarketChanged, SimulationError,
    LibraryError.
    """
    check_storable(market)
    try:
        with open_connection(connections, application="pseudofeed backfill", writer=True) as connection:
            tier = migrate(connection)
            stored = register_without_kafka(connection, market)
            if on_market is not None:
                on_market(stored.record.market)
            first, last = steps_between(stored.record.market, begin, end)
            files = [] if directory is None else day_files(stored.record.market, directory, first, last)
        run = _Run(connections, stored, tier, control, batch_rows)
        run.work(shared_out(run.claim(first, last), writers))
        run.index(first, last)
        with open_connection(connections, application="pseudofeed backfill", writer=False) as connection:
            done = merge(part for claim in read_claims(connection, stored) for part in claim.done)
    except psycopg.Error as problem:
        raise store_error(problem, connections) from None
    within = intersect(done, first, last)
    complete, _ = write_day_files(stored.record.market, files, lambda: not control.stopping)
    return BackfillSummary(
        ticks=run.tally.ticks,
        rows={kind.name: rows for kind, rows in run.tally.rows.items()},
        seconds=run.tally.seconds,
        ticks_per_second=run.tally.ticks / run.tally.seconds if run.tally.seconds else 0.0,
        first_step=first,
        last_step=within[0][1] if within and within[0][0] == first else 0,
        steps_left=last - first + 1 - sum(end - begin + 1 for begin, end in within),
        files=None if directory is None else complete,
    )


def backfill_files(
    market: Market, directory: Path, control: Control, *, begin: str | None = None, end: str | None = None
) -> BackfillSummary:
    """The Parquet files alone, without a store. Raises as `backfill_market` does, MarketFileError where the market
    starts "now"."""
    first, last = steps_between(market, begin, end)
    files = day_files(market, directory, first, last)
    began = time.monotonic()
    complete, ticks = write_day_files(market, files, lambda: not control.stopping)
    seconds = time.monotonic() - began
    reached = min(last, files[complete - 1].last) if complete else first - 1
    return BackfillSummary(
        ticks=ticks,
        seconds=seconds,
        ticks_per_second=ticks / seconds if seconds else 0.0,
        first_step=first,
        last_step=reached if complete else 0,
        steps_left=last - reached,
        files=complete,
    )


def shared_out(sections: Sequence[Section], writers: int) -> list[list[Section]]:
    """The sections cut into `writers` parts of as many steps each, one behind the other: so connections write to
    chunks, or at least to pages of the index, of their own."""
    total = sum(section.last - section.first + 1 for section in sections)
    parts: list[list[Section]] = [[] for _ in range(writers)]
    before = 0
    for section in sections:
        for number, part in enumerate(parts):
            first = section.first + max(0, total * number // writers - before)
            last = min(section.last, section.first + total * (number + 1) // writers - before - 1)
            if first <= last:
                part.append(Section(section.claim, first, last))
        before += section.last - section.first + 1
    return [part for part in parts if part]


@dataclass(slots=True)
class _Tally:
    rows: Counter[Kind] = field(default_factory=Counter)
    newest_step: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    @property
    def ticks(self) -> int:
        return self.rows[TICK]

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.began)


class _Run:
    """The connections at work; `tally` is what they have committed."""

    def __init__(
        self, connections: Connections, market: StoredMarket, tier: Tier, control: Control, batch_rows: int
    ) -> None:
        self.tally = _Tally()
        self._connections, self._market, self._tier, self._control = connections, market, tier, control
        self._batch_steps = max(1, batch_rows // len(market.instrument_ids))
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._problems: list[BaseException] = []

    def claim(self, first: int, last: int) -> list[Section]:
        """What is to be done of these steps."""
        writer = self._writer(lambda: not self._control.stopping)
        try:
            claims = writer.claim(first, last)
        finally:
            writer.close()
        return [Section(claim, *part) for claim in claims for part in claim.left(first, last)]

    def work(self, parts: Sequence[Sequence[Section]]) -> None:
        """Until all is written, `control` asks to stop, or a connection fails: raises its problem then."""
        threads = [
            threading.Thread(target=self._work, args=(part,), name=f"pseudofeed-backfill-{number}")
            for number, part in enumerate(parts)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(REPORT_SECONDS)
                    if self._control.stopping:
                        self._ending.set()
                    self._report()
        finally:
            self._ending.set()
            for thread in threads:
                thread.join()
        self._report()
        if self._problems:
            raise self._problems[0]

    def index(self, first: int, last: int) -> None:
        """Make the indexes that are missing where these steps are; the connections have made those of the chunks that
        they alone have filled."""
        writer = self._writer(lambda: True)
        try:
            if writer.index(self._time(first), self._time(last) + 1, whole=False) and self.tally.ticks:
                self.tally.ended = time.monotonic()
        finally:
            writer.close()

    def _writer(self, going_on: Callable[[], bool]) -> BackfillWriter:
        return BackfillWriter(self._connections, self._market, self._tier, going_on)

    def _time(self, step: int) -> int:
        return int(self._market.record.market.clock.times(step, 1)[0])

    def _going_on(self) -> bool:
        return not self._ending.is_set()

    def _work(self, part: Sequence[Section]) -> None:
        writer = self._writer(self._going_on)
        state: MarketState | None = None
        try:
            for section in part:
                state = self._fill(writer, section, state)
        except BaseException as problem:
            self._problems.append(problem)
            self._ending.set()
        finally:
            writer.close()

    def _fill(self, writer: BackfillWriter, section: Section, state: MarketState | None) -> MarketState | None:
        """Write a section; the state at its end, or where it was asked to stop."""
        market = self._market.record.market
        state = advance(market, state, section.first - 1, threads=1, going_on=lambda _step: self._going_on())
        if not self._going_on():
            return state
        shard = Shard(section.first, section.last, self._batch_steps)
        for rows in shard_rows(market, shard, state=state, stopping=self._ending.is_set):
            added = writer.write(section.claim, rows)
            if added is None:  # another backfill is at work here: what it has not done of these steps
                for part in writer.left(section.claim, rows.first, rows.last):
                    self._fill(writer, Section(section.claim, *part), state)
            else:
                self._count(added, rows.last)
                writer.index(self._time(section.first), self._time(rows.last), whole=True)
            state = rows.state
            if not self._going_on():
                break
        return state

    def _count(self, added: Committed, step: int) -> None:
        with self._lock:
            self.tally.rows.update(added)
            self.tally.newest_step = max(self.tally.newest_step, step)
            self.tally.ended = time.monotonic()

    def _report(self) -> None:
        tally = self.tally
        self._control.report(Progress("backfill", tally.ticks, tally.newest_step, None, tally.seconds))
