"""The exceptions that pseudofeed raises for problems that a user can act on.

A message says what happened, where (market, file and key, server and setting, partition, offset or step), and what to
do. The command line prints it unchanged and exits with 2. No message contains a secret.
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
    "WalkStopped",
]


class PseudofeedError(Exception):
    """The base class of all of them."""


class MarketFileError(PseudofeedError):
    """A market file is invalid; the text lists every mistake, one per line, each with its key."""


class MarketWarning(UserWarning):
    """Something about a market that is valid, but probably a mistake; the command line prints it to standard error."""


class MarketChanged(PseudofeedError):
    """A market of this name exists with another specification or number of partitions."""


class UnknownMarket(PseudofeedError):
    """No market of this name is registered."""


class UnknownSymbol(PseudofeedError):
    """The market has no instrument of this symbol."""


class SettingsError(PseudofeedError):
    """A setting is missing, malformed, or not allowed in this place."""


class ServerError(PseudofeedError):
    """A server does not answer, rejects the connection or a request; the text names it and its setting."""


class SimulationError(PseudofeedError):
    """A price or variance left its range, or a step lies beyond the end of time."""


class WalkStopped(Exception):
    """A walk through the simulation was asked to stop, and did. No mistake of anybody: it never reaches a user."""


class MalformedMessage(PseudofeedError):
    """Bytes from a topic are damaged or invalid; `index` is the message's index in its batch, if any."""

    index: int | None = None


class DamagedQuote(PseudofeedError):
    """A quote in Redis was not written by a cache worker, or is damaged; the text names the key and the field."""


class LibraryError(PseudofeedError):
    """A library that is needed at run time is missing or too old; the text says what to install."""


class PublishError(PseudofeedError):
    """librdkafka could not deliver a message."""


class TopicError(PseudofeedError):
    """A topic has the wrong number of partitions, was recreated, or lost data to retention."""


class StoreError(PseudofeedError):
    """The store cannot do what is requested."""


class OffsetConflict(StoreError):
    """A partition's offset in the store is not where this worker left it: its batch was dropped."""
