"""The `pseudofeed` command, and `python -m pseudofeed`.

Imports next to nothing itself: the modules of the commands take a third of a second, and Ctrl-C must work from the
beginning.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing is not imported
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The entry point of the `pseudofeed` command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from pseudofeed.cli import main as run

    try:
        run()
    finally:
        # Whoever interrupts once more while Python tidies up wants it to end, and no traceback.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(0)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """There is nothing to tidy up yet, and an import would turn an exception into something else."""
    os.write(2, b"pseudofeed: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
