"""Names of keys in Redis. The braces keep all keys of a partition in one slot of a cluster."""

from __future__ import annotations

__all__ = ["marker_key", "quote_key", "ready_key"]


def quote_key(market: str, partition: int, symbol: str) -> str:
    """The hash of an instrument's newest quote: epoch, sequence, time, time_ns, price, variance."""
    return f"pseudofeed:{{{market}.{partition}}}:quote:{symbol}"


def marker_key(market: str, partition: int) -> str:
    """There (with the epoch) as long as every instrument of the partition has a quote."""
    return f"pseudofeed:{{{market}.{partition}}}:warm"


def ready_key(market: str) -> str:
    """There (with the epoch) as soon as every instrument of the market has a quote."""
    return f"pseudofeed:{market}:ready"
