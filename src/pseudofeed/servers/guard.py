"""The parent of the embedded servers, run as a program by embedded.py: python -I guard.py PLAN.

PLAN is a JSON object: folder, and servers with commands (run one after another; the last is the server), log, account.
Ends the servers and deletes the folder as soon as standard input is closed (its other end closes when our own parent is
done, or dies in whatever way) or a server ends by itself.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any


class Server:
    """One server and the commands that prepare it."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self.ended = threading.Event()

    def run(self) -> None:
        """All commands, until the last one ends or one fails."""
        user, group = self._plan.get("account") or (None, None)
        try:
            with open(self._plan["log"], "ab") as log:  # noqa: PTH123 - a path out of JSON
                for command in self._plan["commands"]:
                    with self._lock:
                        if self._stopped:
                            return
                        self._process = subprocess.Popen(
                            command,
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            cwd="/",
                            user=user,
                            group=group,
                            extra_groups=None if user is None else [],
                        )
                    if self._process.wait() != 0:
                        return
        finally:
            self.ended.set()

    def stop(self) -> None:
        """SIGINT: PostgreSQL's fast shutdown, and Redis ends on it, too. SIGKILL after 10 s."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            return


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    plan = json.loads(sys.argv[1])
    servers = [Server(one) for one in plan["servers"]]
    threads = [threading.Thread(target=server.run) for server in servers]
    for thread in threads:
        thread.start()
    # A child that our parent forked may hold the pipe open after the parent's death: watch the parent, too.
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        if os.getppid() != parent or any(server.ended.is_set() for server in servers):
            break
    failed = any(server.ended.is_set() for server in servers)
    for server in servers:
        server.stop()
    for thread in threads:
        thread.join()
    if failed and os.getppid() == parent:
        # Our parent reads the logs first, and closes the pipe when it has.
        sys.stdin.read()
    shutil.rmtree(plan["folder"], ignore_errors=True)


if __name__ == "__main__":
    main()
