"""Which processes are ours: started by `servers up`, and still the same processes.

A process is known by its number, its start time and the boot it was started in; a number alone is given to others after
a while. The process itself writes this record (a shell that then becomes the server), so there is no moment in which a
server runs and nobody knows: `up` may be killed with -9 at any time. A record whose process is gone means nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pseudofeed.errors import ServerError

__all__ = ["OwnedProcess", "log_tail", "start_owned", "stop_owned"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")

# Writes "<boot> <port> <its own line of /proc/PID/stat>" and becomes the server; exec keeps number and start time.
_RECORD_AND_BECOME = """
record=$1; port=$2; shift 2
read -r boot < /proc/sys/kernel/random/boot_id
read -r stat < /proc/$$/stat
printf '%s %s %s\\n' "$boot" "$port" "$stat" > "$record" || exit 1
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class OwnedProcess:
    """A live process that `up` started; port is the one it was told to listen on."""

    pid: int
    start_ticks: int
    port: int

    @classmethod
    def read(cls, record: Path) -> OwnedProcess | None:
        """The process of a record, or None when there is no record, it is damaged, or the process is gone."""
        try:
            boot, port, stat = record.read_text().split(" ", 2)
            pid, start_ticks = _parse_stat(stat)
            process = cls(pid, start_ticks, int(port))
        except (OSError, ValueError, IndexError):
            return None
        if boot != _BOOT.read_text().strip() or not process.alive:
            return None
        return process

    @property
    def alive(self) -> bool:
        """Still the process that was started (a zombie is not)."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
            return _parse_stat(stat) == (self.pid, self.start_ticks) and _state(stat) not in "ZX"
        except (OSError, ValueError, IndexError):
            return False

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within the time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def start_owned(command: Sequence[str], *, record: Path, port: int, log: Path) -> None:
    """Start a server that outlives us, in a session of its own (Ctrl-C does not reach it), output to `log`.

    Returns when its record is written, or it has ended already. The log of the start before is kept as <log>.1.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    record.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _RECORD_AND_BECOME, "sh", str(record), str(port), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    while process.poll() is None:
        owned = OwnedProcess.read(record)
        if owned is not None and owned.pid == process.pid:
            return
        time.sleep(0.01)


def stop_owned(record: Path, *, with_signal: signal.Signals, patience: float = 30.0) -> bool:
    """End the process of a record, by SIGKILL when it does not end within `patience` seconds. False: there was none."""
    process = OwnedProcess.read(record)
    if process is not None:
        for number in (with_signal, signal.SIGKILL):
            _send(process, number)
            if process.wait(patience):
                break
        else:
            raise ServerError(f"process {process.pid} does not end, not even after SIGKILL")
    record.unlink(missing_ok=True)
    return process is not None


def _send(process: OwnedProcess, number: signal.Signals) -> None:
    """Signal exactly this process: the handle pins it, then its start time is checked once more."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process.alive:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def log_tail(log: Path, *, lines: int = 15) -> str:
    """The last lines of a log, for an error's text."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return f"(no log at {log})"
    return "\n".join([f"the last lines of {log}:", *text.splitlines()[-lines:]])


def _parse_stat(stat: str) -> tuple[int, int]:
    """(pid, start time in clock ticks after boot) of a line of /proc/PID/stat; the name in it may be anything."""
    return int(stat.split(" ", 1)[0]), int(stat.rpartition(")")[2].split()[19])


def _state(stat: str) -> str:
    return stat.rpartition(")")[2].split()[0]
