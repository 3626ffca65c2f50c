"""Running other people's programs while servers are being prepared.

Ctrl-C must leave nothing behind that still writes, and a killed `up` must not let the next one work in a folder where
its orphaned helper is still busy. So each program runs in a session of its own, which is ended as a whole, and holds
the lock of its folder itself: the lock is free when the last of them is gone, and nothing has to be cleaned up.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pseudofeed.errors import ServerError
from pseudofeed.servers.ownership import log_tail

__all__ = ["Report", "locked", "remove_tree", "run"]

Report = Callable[[str], None]


@contextmanager
def locked(folder: Path, report: Report) -> Iterator[int]:
    """Hold the folder's lock (made if needed); yields its descriptor, to be given to `run`.

    Waits, and says so, while another command or an orphaned program of one holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A high number: shell scripts (debootstrap) use the low ones for their own, and would let go of the lock.
    descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(opened)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another `pseudofeed servers` that works in {folder}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def run(
    command: Sequence[str],
    *,
    log: Path,
    what: str,
    lock: int,
    environment: dict[str, str] | None = None,
    timeout: float = 1200.0,
) -> None:
    """Run a program to its end, output to `log`. ServerError with the end of the log when it fails or takes too long.

    Whatever ends the wait (Ctrl-C, too) ends the program with all of its children.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                env={**os.environ, **(environment or {})},
            )
    except FileNotFoundError:
        raise ServerError(f"{what}: the program {command[0]} is missing on this machine") from None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end_session(process)
        raise ServerError(f"{what} did not finish within {timeout:.0f} s; {log_tail(log)}") from None
    except BaseException:
        _end_session(process)
        raise
    if code != 0:
        raise ServerError(f"{what} failed (exit code {code}); {log_tail(log)}")


def _end_session(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def remove_tree(folder: Path) -> None:
    """Delete a folder, but never through a mount: refused when anything is mounted in it, kept to one file system."""
    if not folder.exists():
        return
    for mount in mounts_below(folder.resolve(), Path("/proc/self/mountinfo").read_text()):
        raise ServerError(f"{folder} is not deleted, because {mount} is mounted there; unmount it first")
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(folder)], check=True)


def mounts_below(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points in a folder (and the folder itself), by the text of /proc/self/mountinfo."""
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in mountinfo.splitlines()]
    return [point for point in points if point == folder or folder in point.parents]
