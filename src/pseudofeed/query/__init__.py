"""Reading a market: newest quotes from Redis, history from the store, both again from the simulation."""

from pseudofeed.query.aio import AsyncClient, connect_async
from pseudofeed.query.client import Client, connect
from pseudofeed.query.frames import QuoteArrays, TickArrays

__all__ = ["AsyncClient", "Client", "QuoteArrays", "TickArrays", "connect", "connect_async"]
