"""A TCP proxy between a client and PostgreSQL that cuts connections at COMMIT.

Models: psycopg's tests/fix_proxy.py (a proxy that can be stopped), asyncpg's tests/test_adversity.py.
"""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_COPY_DONE = b"c\0\0\0\x04"
_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"  # the protocol's simple query


class CuttingProxy:
    """`dsn` leads through it. From the first COPY on every second COMMIT or so breaks its connection for both sides,
    until there were `cuts`.

    cut: how often the COMMIT was "delivered" before (the server commits, nobody hears of it), and how often "lost".
    """

    def __init__(self, dsn: str, *, cuts: int, seed: int) -> None:
        settings = conninfo_to_dict(dsn)
        self._target = (str(settings.get("host") or "127.0.0.1"), int(settings.get("port") or 5432))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_conninfo(dsn, host="127.0.0.1", hostaddr="", port=self._listener.getsockname()[1])
        self.cut: Counter[str] = Counter()
        self._left, self._random = cuts, random.Random(seed)
        self._copied = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        tail = b""
        try:
            while data := source.recv(65_536):
                seen = tail + data
                self._copied |= _COPY_DONE in seen
                if from_client and seen.endswith(_COMMIT):
                    fate = self._decide() if self._copied else None
                    if fate == "delivered":
                        sink.sendall(data)
                    if fate is not None:
                        break
                tail = seen[-len(_COMMIT) :]
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for end in (source, sink):
            end.close()

    def _decide(self) -> str | None:
        with self._lock:
            if self._left == 0 or self._random.random() < 0.5:
                return None
            self._left -= 1
            # Mostly the harder case: it took effect, and the client cannot know.
            fate = "delivered" if self._random.random() < 0.7 else "lost"
            self.cut[fate] += 1
            return fate
