"""Every exception that pseudofeed raises for something a user can act on.

A message says what happened, where (market, file and key, server and setting, partition, offset or step), and what to
do.
The command line prints it as it is and exits with 2; secrets never stand in one.
"""

from __future__ import annotations

__all__ = [
    "DamagedQuote",
    "LibraryError",
    "MalformedMessage",
    "MarketChanged",
    "MarketFileError",
    "MarketWarning",
    "OffsetConflict",
    "PseudofeedError",
    "PublishError",
    "ServerError",
    "SettingsError",
    "SimulationError",
    "StoreError",
    "TopicError",
    "UnknownMarket",
    "UnknownSymbol",
]


class PseudofeedError(Exception):
    """The base of all of them."""


class MarketFileError(PseudofeedError):
    """A market file is not a market; the text lists every mistake, one a line, each with its key."""


class MarketWarning(UserWarning):
    """Something about a market that is valid, but probably a mistake; the command line prints it to standard error."""


class MarketChanged(PseudofeedError):
    """A market of this name exists with another specification or number of partitions."""


class UnknownMarket(PseudofeedError):
    """No market of this name is registered."""


class UnknownSymbol(PseudofeedError):
    """The market has no instrument of this symbol."""


class SettingsError(PseudofeedError):
    """A setting is missing, malformed, or stands where it must not."""


class ServerError(PseudofeedError):
    """A server does not answer, refuses us, or cannot do what is asked; the text names it and its setting."""


class SimulationError(PseudofeedError):
    """A price or variance left its range, or a step lies beyond where times end."""


class MalformedMessage(PseudofeedError):
    """Bytes from a topic are not what they claim to be; `index` says which message of a batch, where there was one."""

    index: int | None = None


class DamagedQuote(PseudofeedError):
    """A quote in Redis is not what a cache worker writes; the text names the key and the field."""


class LibraryError(PseudofeedError):
    """A library that is needed at run time is missing or too old; the text says what to install."""


class PublishError(PseudofeedError):
    """librdkafka could not deliver a message."""


class TopicError(PseudofeedError):
    """A topic is not as it must be: other partitions, recreated, or data lost to retention."""


class StoreError(PseudofeedError):
    """The store cannot hold what is asked of it."""


class OffsetConflict(StoreError):
    """A partition's offset in the store is not where this worker left it: its batch was dropped."""
