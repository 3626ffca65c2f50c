"""A market's settings in one store: how much is kept, how long chunks are.

They are saved in the table `market`, not in the market file. They change no tick, so they are not part of the market's
fingerprint, and two stores of one market may differ.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, fields

import psycopg
from psycopg import sql

from pseudofeed.errors import SettingsError
from pseudofeed.store.registry import StoredMarket
from pseudofeed.times import parse_step

__all__ = ["StoreSettings", "change_settings", "kept_from"]

_UNSET = ("never", "all", "default")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Each is a length such as "30d", "6h" or "10min", "never" for none, or None to leave it unchanged.

    retention: of the market's time, kept back from its newest tick. chunk_length: of the chunks that this market makes
    from now on.
    """

    retention: str | None = None
    chunk_length: str | None = None


def change_settings(connection: psycopg.Connection, market: StoredMarket, settings: StoreSettings) -> None:
    """Save the given ones. Raises SettingsError for a text that is not a length."""
    changes = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values = {name: _length(name, text) for name, text in changes.items() if text is not None}
    for name, value in values.items():
        connection.execute(
            sql.SQL("UPDATE market SET {} = %s WHERE market_id = %s").format(sql.Identifier(name)),
            (value, market.market_id),
        )


def kept_from(connection: psycopg.Connection, market: StoredMarket) -> int | None:
    """Before this time (ns) the market's retention has dropped its ticks; None if it has dropped none."""
    try:
        with connection.transaction():
            row = connection.execute(
                "SELECT dropped_before FROM market WHERE market_id = %s", (market.market_id,)
            ).fetchone()
    except psycopg.errors.UndefinedColumn:  # an older schema, without retention
        return None
    if row is None or row[0] is None:
        return None
    kept: datetime.datetime = row[0]
    return (kept - _EPOCH) // datetime.timedelta(microseconds=1) * 1_000


def _length(name: str, text: str) -> datetime.timedelta | None:
    if text in _UNSET:
        return None
    try:
        microseconds, rest = divmod(parse_step(text), 1_000)
    except ValueError as problem:
        raise SettingsError(f"{name.replace('_', ' ')} is {text}: {problem}; or never") from None
    if rest or microseconds == 0:
        raise SettingsError(f"{name.replace('_', ' ')} is {text}; it is a whole number of microseconds")
    return datetime.timedelta(microseconds=microseconds)
