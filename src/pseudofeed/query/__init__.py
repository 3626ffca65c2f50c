"""Reading a market: newest quotes from Redis, history from the store."""

from pseudofeed.query.client import Client, connect

__all__ = ["Client", "connect"]
