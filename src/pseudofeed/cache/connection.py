"""Connections to Redis, and what their failures mean to a user. Redis's messages hold no secrets; URLs are never
shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from pseudofeed.errors import ServerError, SettingsError
from pseudofeed.settings import Connections

__all__ = ["cache_error", "exchange", "open_async_redis", "open_redis", "packed_words"]

_Client = TypeVar("_Client", redis.Redis, redis.asyncio.Redis)

VARIABLE = "PSEUDOFEED_REDIS"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0


def open_redis(connections: Connections, *, name: str, on_connect: Callable[[], None] | None = None) -> redis.Redis:
    """A client whose answers are text. on_connect: called after each new connection; then nothing is tried again
    silently, so that a caller notices that the server was away. Raises SettingsError where Redis is not set, or its URL
    has a parameter that means nothing."""

    def greet(connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call, unused-ignore]
        if on_connect is not None:
            on_connect()

    options: dict[str, object] = {}
    if on_connect is not None:
        options = {"redis_connect_func": greet, "retry": Retry(NoBackoff(), 0)}
    return _opened(redis.Redis.from_url, connections, name, options)


def open_async_redis(connections: Connections, *, name: str) -> redis.asyncio.Redis:
    """The same for an event loop; it tries nothing again silently."""
    options: dict[str, object] = {"retry": redis.asyncio.retry.Retry(NoBackoff(), 0)}
    return _opened(redis.asyncio.Redis.from_url, connections, name, options)


def _opened(
    from_url: Callable[..., _Client], connections: Connections, name: str, options: dict[str, object]
) -> _Client:
    url = connections.require_redis()
    try:
        client = from_url(
            url,
            decode_responses=True,
            client_name=name,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
            **options,
        )
        pool: Any = client.connection_pool
        pool.make_connection()  # checks the URL's parameters; connects to nothing yet
    except (TypeError, ValueError, redis.RedisError) as problem:
        # redis-py's texts name parameters, and no values.
        raise SettingsError(f"{VARIABLE}: its URL cannot be used: {str(problem).rpartition(') ')[2]}") from None
    return client


def exchange(client: redis.Redis, commands: Iterable[bytes], *, answers: int | None = None) -> list[object]:
    """Send packed commands, each as soon as it is there, and read the answers; an error answer stands in its place.

    answers: how many come, by default one each. Nothing is tried again. Raises redis.RedisError where the connection
    breaks. redis-py's own pipelines take as long to pack a flush as Redis does to write it.
    """
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    try:
        sent = 0
        for command in commands:
            connection.send_packed_command([command])
            sent += 1
        return [_answer(connection) for _ in range(sent if answers is None else answers)]
    except BaseException:
        connection.disconnect()  # answers of ours are still on their way
        raise
    finally:
        pool.release(connection)


def _answer(connection: Any) -> object:
    try:
        return connection.read_response()
    except redis.ResponseError as problem:
        return problem


def packed_words(*words: str | bytes | int) -> bytes:
    """As RESP has them within a command."""
    texts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


def cache_error(problem: redis.RedisError, connections: Connections) -> ServerError:
    """What a user can do about `problem`; raise it `from None`."""
    server = connections.describe_redis()
    if isinstance(problem, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return ServerError(f"Redis at {server} does not accept the user or password of {VARIABLE}: {problem}")
    if isinstance(problem, redis.exceptions.NoPermissionError):
        return ServerError(f"Redis at {server} does not let the user of {VARIABLE} do this: {problem}")
    if isinstance(problem, redis.ReadOnlyError):
        return ServerError(f"Redis at {server} is a read-only replica: {VARIABLE} must name the primary")
    if "CERTIFICATE_VERIFY_FAILED" in str(problem) or "certificate" in str(problem):
        return ServerError(
            f"Redis at {server} shows a certificate that is not accepted: {problem}. {VARIABLE} names the authority "
            f"with ?ssl_ca_certs=FILE, and must name the server as its certificate does"
        )
    return ServerError(f"Redis at {server}: {str(problem).rstrip('.')}. Check {VARIABLE}, and that the server runs")
