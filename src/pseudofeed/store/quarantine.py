"""Stores messages that could not be read, with place and reason, in the transaction that moves the offset past them."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from pseudofeed.consume import Batch

__all__ = ["count_quarantined", "quarantine"]


def quarantine(
    connection: psycopg.Connection, market_id: int, topic: str, topic_id: str | None, batches: Sequence[Batch]
) -> None:
    """Store the batches' unreadable messages, in the current transaction."""
    # PostgreSQL's texts have no NUL; a reason may quote bytes of its message.
    rows = [
        (market_id, topic, topic_id, batch.partition, found.offset, found.reason.replace("\0", "\\0"), found.value)
        for batch in batches
        for found in batch.unreadable
    ]
    if rows:
        connection.cursor().executemany(
            """INSERT INTO quarantine (market_id, topic, topic_id, partition, "offset", reason, message)
               VALUES (%s, %s, %s, %s, %s, %s, %s)""",
            rows,
        )


def count_quarantined(connection: psycopg.Connection, market_id: int, topic: str) -> int:
    """How many messages of one of the market's topics are in quarantine."""
    row = connection.execute(
        "SELECT count(*) FROM quarantine WHERE market_id = %s AND topic = %s", (market_id, topic)
    ).fetchone()
    return 0 if row is None else int(row[0])
