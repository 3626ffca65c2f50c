"""Reads the store as Arrow, through ADBC, which puts the server's binary COPY straight into columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudofeed.errors import ServerError
from pseudofeed.records.arrow import arrow_library
from pseudofeed.settings import Connections

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowConnection"]


class ArrowConnection:
    """A connection in addition to psycopg's, opened on first use."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connection: Any = None

    def read(self, query: str, values: Mapping[str, int | str]) -> pa.Table:
        """The rows of a query with the named values. Neither may contain text from a user. Raises LibraryError,
        ServerError."""
        # With parameters the driver would prepare the statement, and plan it without knowing the times.
        text = query % {name: f"'{value}'" if isinstance(value, str) else value for name, value in values.items()}
        arrow_library(needed_for="arrow=True")
        driver = arrow_library("adbc_driver_postgresql.dbapi", needed_for="arrow=True")
        for attempt in (1, 2):
            try:
                if self._connection is None:
                    self._connection = driver.connect(self._connections.require_postgres(), autocommit=True)
                    with self._connection.cursor() as cursor:
                        cursor.execute("SET TimeZone = 'UTC'")
                        cursor.execute("SET default_transaction_read_only = on")
                with self._connection.cursor() as cursor:
                    cursor.execute(text)
                    return cursor.fetch_arrow_table()
            except driver.Error as problem:
                fresh = attempt == 2 or self._connection is None
                self.close()
                if fresh:
                    # libpq's text names the host, database and user, never a password.
                    reason = "; ".join(line.strip() for line in str(problem).splitlines() if line.strip())
                    raise ServerError(
                        f"PostgreSQL at {self._connections.describe_postgres()}, read as Arrow: {reason}. Check "
                        f"PSEUDOFEED_POSTGRES, and that the server runs"
                    ) from None
        raise AssertionError

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
