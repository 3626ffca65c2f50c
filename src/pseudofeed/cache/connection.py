"""Connections to Redis, and what their failures mean to a user. Redis's messages hold no secrets; URLs are never
shown.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from pseudofeed.errors import ServerError
from pseudofeed.settings import Connections

__all__ = ["cache_error", "open_redis"]

VARIABLE = "PSEUDOFEED_REDIS"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0


def open_redis(connections: Connections, *, name: str, on_connect: Callable[[], None] | None = None) -> redis.Redis:
    """A client whose answers are text. on_connect: called after each new connection; then nothing is tried again
    silently, so that a caller notices that the server was away. Raises SettingsError where Redis is not set."""

    def greet(connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call, unused-ignore]
        if on_connect is not None:
            on_connect()

    options: dict[str, object] = {}
    if on_connect is not None:
        options = {"redis_connect_func": greet, "retry": Retry(NoBackoff(), 0)}
    return redis.Redis.from_url(
        connections.require_redis(),
        decode_responses=True,
        client_name=name,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        **options,
    )


def cache_error(problem: redis.RedisError, connections: Connections) -> ServerError:
    """What a user can do about `problem`; raise it `from None`."""
    server = connections.describe_redis()
    if isinstance(problem, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return ServerError(f"Redis at {server} does not accept the user or password of {VARIABLE}: {problem}")
    if isinstance(problem, redis.exceptions.NoPermissionError):
        return ServerError(f"Redis at {server} does not let the user of {VARIABLE} do this: {problem}")
    if isinstance(problem, redis.ReadOnlyError):
        return ServerError(f"Redis at {server} is a read-only replica: {VARIABLE} must name the primary")
    return ServerError(f"Redis at {server}: {str(problem).rstrip('.')}. Check {VARIABLE}, and that the server runs")
