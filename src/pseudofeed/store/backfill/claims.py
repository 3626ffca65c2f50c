"""The ranges of steps that backfills have claimed, and how they and the stream keep out of each other's way.

A backfill claims its range before it writes anything, in one short transaction that keeps the market's store workers
waiting: it notes what they have stored of the range until then (`held`), which it leaves out. From that moment the
range is the backfill's: a worker reads the claims in the transaction that moves its offsets, behind the lock on their
rows, and leaves out what is claimed. So of two transactions about one tick, one always sees the other. A worker whose
partition is new makes its row of sink_offset under the same lock as a claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from pseudofeed.encode import partitions_of
from pseudofeed.records import Columns, Kind, Shape, stored_kinds
from pseudofeed.store.backfill.steps import Ranges, intersect, merge, subtract
from pseudofeed.store.registry import StoredMarket

__all__ = ["CLAIM_LOCK", "Claim", "Held", "claim_steps", "claimed_steps", "read_claims"]

# Beside the market's id in a lock of two numbers, which never meets one of a single number; it has no meaning.
CLAIM_LOCK = 73_641


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a kind's stream had stored when a range was claimed: of instrument (or factor) i the steps first[i] to
    last[i], int64; none where last < first. begun: of an event kind, per partition that was left in the middle of a
    step: its members (bool, by number), that step, and how many of its events are there.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    begun: tuple[tuple[NDArray[np.bool_], int, int], ...] = ()

    def lacks(self, columns: Columns) -> NDArray[np.bool_]:
        """Which of these rows the stream had not stored, one entry each. Events of one step come together, and in
        order."""
        steps, numbers = columns.sequence, columns.number
        lacking: NDArray[np.bool_] = (steps < self.first[numbers]) | (steps > self.last[numbers])
        for members, step, events in self.begun:
            lacking[np.flatnonzero((steps == step) & members[numbers])[:events]] = False
        return lacking

    @property
    def any(self) -> bool:
        return bool((self.first <= self.last).any()) or bool(self.begun)


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The steps first to last are a backfill's; `done` of them are written. held: what it leaves out, by kind."""

    first: int
    last: int
    done: Ranges
    held: Mapping[Kind, Held]

    def left(self, first: int, last: int) -> Ranges:
        """What is to be written yet of the steps first to last."""
        return subtract(intersect([(self.first, self.last)], first, last), self.done)


def read_claims(connection: psycopg.Connection, market: StoredMarket) -> list[Claim]:
    """All claims of a market, by step; none in a store whose schema has no such table yet. Raises psycopg.Error."""
    known = connection.execute("SELECT to_regclass('backfill') IS NOT NULL").fetchone()
    if known is None or not known[0]:
        return []
    rows = connection.execute(
        "SELECT first_step, last_step, done, held FROM backfill WHERE market_id = %s ORDER BY first_step",
        (market.market_id,),
    ).fetchall()
    kinds = stored_kinds(market.record.market)
    return [
        Claim(first, last, _ranges(done), {kind: _held(market, kind, held) for kind in kinds})
        for first, last, done, held in rows
    ]


def claimed_steps(connection: psycopg.Connection, market: StoredMarket, first: int, last: int) -> Ranges:
    """Those of the steps first to last that are a backfill's, done or not. Raises psycopg.Error."""
    rows = connection.execute(
        "SELECT first_step, last_step FROM backfill WHERE market_id = %s AND last_step >= %s AND first_step <= %s",
        (market.market_id, first, last),
    ).fetchall()
    return intersect(merge(rows), first, last)


def claim_steps(connection: psycopg.Connection, market: StoredMarket, first: int, last: int) -> list[Claim]:
    """Claim what nobody has claimed yet of the steps first to last; all claims that have some of them, with what is
    done. Outside of a transaction. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (CLAIM_LOCK, market.market_id))
        # A worker in the middle of a batch is waited for, and the next one waits for us: so every row is locked, also
        # one that seems to have nothing yet.
        rows = connection.execute(
            """SELECT kind, partition, coalesce(first_sequence, 1), last_sequence, last_number FROM sink_offset
               WHERE market_id = %s ORDER BY kind, partition FOR UPDATE""",
            (market.market_id,),
        ).fetchall()
        held = [row for row in rows if row[3]]
        known = merge((claim.first, claim.last) for claim in read_claims(connection, market))
        everywhere = _held_by_all(market, held)
        for new_first, new_last in subtract([(first, last)], known):
            begin, end = max(new_first, everywhere[0]), min(new_last, everywhere[1])
            connection.execute(
                """INSERT INTO backfill (market_id, first_step, last_step, held, done) VALUES (%s, %s, %s, %s,
                   CASE WHEN %s THEN int8multirange(int8range(%s, %s, '[]')) ELSE '{}' END)""",
                (market.market_id, new_first, new_last, Jsonb(held), begin <= end, begin, max(begin, end)),
            )
        claims = read_claims(connection, market)
    return [claim for claim in claims if claim.first <= last and claim.last >= first]


def _held_by_all(market: StoredMarket, rows: Sequence[Sequence[Any]]) -> tuple[int, int]:
    """The steps, first to last, of which the stream has everything; an empty range where there is none."""
    parts = [_held(market, kind, rows) for kind in stored_kinds(market.record.market)]
    return max(int(part.first.max()) for part in parts), min(int(part.last.min()) for part in parts)


def _held(market: StoredMarket, kind: Kind, rows: Sequence[Sequence[Any]]) -> Held:
    """rows: kind's name, partition, first step, last step and number of the newest batches, as in sink_offset."""
    partitions = partitions_of(kind, market.record.market, market.record.partitions)
    first, last = np.ones(len(partitions), np.int64), np.zeros(len(partitions), np.int64)
    begun = []
    for name, partition, first_step, last_step, number in rows:
        if name != kind.name:
            continue
        members = partitions == partition
        first[members] = first_step
        if kind.shape is Shape.EVENTS:
            last[members] = last_step if number is None else last_step - 1
            if number is not None:
                begun.append((members, int(last_step), int(number)))
        else:
            # Of single ticks the newest step may be there in part: up to the instrument of that number.
            numbers = np.flatnonzero(members)
            last[members] = np.where(number is None or numbers <= number, last_step, last_step - 1)
    return Held(first, last, tuple(begun))


def _ranges(multirange: Any) -> Ranges:
    return [(int(part.lower), int(part.upper) - 1) for part in multirange]
