"""Reads a market: newest quotes from Redis, and history from the store or from a new simulation."""

from pseudofeed.query.aio import AsyncClient, connect_async
from pseudofeed.query.client import Client, connect
from pseudofeed.query.frames import QuoteArrays, TickArrays

__all__ = ["AsyncClient", "Client", "QuoteArrays", "TickArrays", "connect", "connect_async"]
