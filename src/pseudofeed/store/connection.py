"""Opens connections to PostgreSQL, and translates their failures for users.

libpq's messages name host, port, database and user and never a password; they are passed on. The connection string
itself is never shown.
"""

from __future__ import annotations

import psycopg

from pseudofeed.errors import PseudofeedError, ServerError, StoreError
from pseudofeed.settings import Connections

__all__ = ["WriterConnection", "is_transient", "open_connection", "store_error"]

VARIABLE = "PSEUDOFEED_POSTGRES"
CONNECT_SECONDS = 10  # a busy machine may need several

# A worker that was suspended in the middle of a transaction holds the lock on its rows of sink_offset. The server ends
# its session after 10 s (60 s in the middle of COPY). Others wait for the lock 10 s at a time, and then retry.
_WRITER_SETTINGS = {
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
}


def open_connection(connections: Connections, *, application: str, writer: bool) -> psycopg.Connection:
    """A connection in autocommit mode, times in UTC; a writer's gets time limits, a reader's is read-only.

    Raises SettingsError if PostgreSQL is not set, psycopg.Error if it cannot be reached (see `store_error`).
    """
    connection = psycopg.connect(
        connections.require_postgres(),
        autocommit=True,
        prepare_threshold=None,  # works with a pooler that uses another session for each transaction
        connect_timeout=CONNECT_SECONDS,
        application_name=application,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )
    settings = {"TimeZone": "UTC"} | (_WRITER_SETTINGS if writer else {"default_transaction_read_only": "on"})
    try:
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    except BaseException:
        connection.close()
        raise
    return connection


class WriterConnection:
    """A writer's connection, opened on first use and reopened after a failure. current: None while there is none."""

    def __init__(self, connections: Connections, application: str) -> None:
        self._connections, self._application = connections, application
        self.current: psycopg.Connection | None = None

    def opened(self) -> psycopg.Connection:
        """Raises as `open_connection` does."""
        if self.current is None or self.current.closed or self.current.broken:
            self.close()
            self.current = open_connection(self._connections, application=self._application, writer=True)
        return self.current

    def close(self) -> None:
        connection, self.current = self.current, None
        if connection is not None:
            connection.close()


def store_error(problem: psycopg.Error, connections: Connections) -> PseudofeedError:
    """The error for users, with what to do about it. Raise it `from None`, since it contains libpq's text."""
    server = connections.describe_postgres()
    if isinstance(problem, psycopg.errors.InsufficientPrivilege):
        return ServerError(
            f"PostgreSQL at {server}: {_primary(problem)}. The user of {VARIABLE} must own the tables of pseudofeed, "
            f"or be allowed to create them in the database's default schema"
        )
    if isinstance(problem, psycopg.errors.ReadOnlySqlTransaction):
        return ServerError(
            f"PostgreSQL at {server} is read-only ({_primary(problem)}): {VARIABLE} must name the primary"
        )
    if isinstance(problem, psycopg.OperationalError) and "password authentication failed" in str(problem):
        return ServerError(
            f"PostgreSQL at {server} does not accept the user or password of {VARIABLE}: {_primary(problem)}"
        )
    if isinstance(problem, psycopg.OperationalError) and "certificate" in str(problem):
        return ServerError(
            f"PostgreSQL at {server} shows a certificate that is not accepted: {_primary(problem)}. {VARIABLE} names "
            f"the authority with sslrootcert=FILE, and must name the server as its certificate does"
        )
    if isinstance(problem, psycopg.errors.DiskFull):
        return ServerError(f"PostgreSQL at {server}: {_primary(problem)}. Make room on the server's disk")
    if isinstance(problem, psycopg.OperationalError):
        return ServerError(f"PostgreSQL at {server}: {_primary(problem)}. Check {VARIABLE}, and that the server runs")
    return StoreError(f"PostgreSQL at {server}: {_primary(problem)}")


def is_transient(problem: psycopg.Error, connection: psycopg.Connection | None) -> bool:
    """Whether to retry later, on a new connection: the server went away, is full, overloaded, or locked."""
    if connection is None or connection.closed or connection.broken:
        return True
    return isinstance(problem, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction)


def _primary(problem: psycopg.Error) -> str:
    text = problem.diag.message_primary or str(problem)
    return "; ".join(line.strip() for line in text.strip().splitlines() if line.strip()).rstrip(".?")
