"""Names of keys and channels in Redis. The braces keep all keys of a partition in one slot of a cluster."""

from __future__ import annotations

__all__ = ["channel", "market_patterns", "progress_key", "quote_key", "ready_key"]


def quote_key(market: str, partition: int, symbol: str) -> str:
    """The hash of an instrument's newest quote; `quotes.FIELDS` are its fields."""
    return f"pseudofeed:{{{market}.{partition}}}:quote:{symbol}"


def progress_key(market: str, partition: int) -> str:
    """A hash: epoch, topic_id and next_offset. Every message of the partition before next_offset is in its quotes;
    so it is there only as long as every instrument of the partition has a quote."""
    return f"pseudofeed:{{{market}.{partition}}}:progress"


def channel(market: str, partition: int) -> str:
    """Where the quotes of the partition are published as they change."""
    return f"pseudofeed:{{{market}.{partition}}}:quotes"


def market_patterns(market: str) -> tuple[str, ...]:
    """What SCAN matches all keys of a market by, and no other market's: a name has no dot and no colon."""
    return f"pseudofeed:{{{market}.*", f"pseudofeed:{market}:*"


def ready_key(market: str) -> str:
    """There (with the epoch) as soon as the cold start is over: every partition has its progress."""
    return f"pseudofeed:{market}:ready"
