"""Where commands print for a person. Text is printed as it is: a symbol or a path may hold `[b]` or `:apple:`."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

from rich.console import Console

from pseudofeed.simulate.files.place import naming

__all__ = ["PlainConsole", "stderr", "stdout"]


class PlainConsole(Console):
    """A console without rich's markup, emoji and highlights, unless a call asks for them. A pipe that is closed is a
    BrokenPipeError, where rich itself would end the process with code 1."""

    def __init__(self, *, to_stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=to_stderr, width=width, markup=False, emoji=False, highlight=False)
        self._name = "standard error" if to_stderr else "standard output"

    def print(self, *objects: Any, **options: Any) -> None:
        with naming(self._name):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE), self._name)


stdout = PlainConsole()
# What goes wrong or goes on is not a result: it must not get into a pipe.
stderr = PlainConsole(to_stderr=True)
