"""What surrounds every command: its streams, its last words, and its exit code.

0: done. 1: the answer is no. 2: wrong use or settings. 128 + n: ended by signal n (130: Ctrl-C). 141: the reader of the
output has closed its pipe, as a shell reports it of a program that SIGPIPE ends.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from pseudofeed.commands.console import stderr
from pseudofeed.errors import MarketWarning, PseudofeedError
from pseudofeed.operate.ending import interrupt_on_signals
from pseudofeed.simulate.files.place import naming

__all__ = ["RootGroup", "run_app", "say_warning"]


def run_app(app: typer.Typer) -> int:
    """Run the command that the arguments name; its exit code."""
    _open_streams()
    warnings.showwarning = _show_warning
    interrupt_on_signals()
    try:
        code = _run(app)
        with naming("standard output"):
            sys.stdout.flush()
    except _Carried as carried:
        code = _last_words(carried.problem)
    except (PseudofeedError, KeyboardInterrupt, OSError) as problem:
        code = _last_words(problem)
    return code


class RootGroup(TyperGroup):
    """Typer gives interrupts and closed pipes exit codes of its own, without a word. They are carried past it."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _carried():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _carried():
            return super().invoke(ctx)


class _Carried(BaseException):
    def __init__(self, problem: BaseException) -> None:
        super().__init__(problem)
        self.problem = problem


@contextmanager
def _carried() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, OSError) as problem:
        raise _Carried(problem) from problem
    except typer.Abort as problem:
        if isinstance(problem.__context__, KeyboardInterrupt):  # at a question
            raise _Carried(problem.__context__) from problem
        raise


def _run(app: typer.Typer) -> int:
    try:
        app(prog_name="pseudofeed")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _last_words(problem: BaseException) -> int:
    """Say what ended the command; its exit code."""
    text, code = str(problem), 2
    if isinstance(problem, KeyboardInterrupt):
        text, code = "interrupted", 128 + getattr(problem, "number", signal.SIGINT)
    elif isinstance(problem, BrokenPipeError):
        text, code = "", 141  # nothing to say, and nobody to say it to
    elif isinstance(problem, OSError) and problem.filename is not None:
        # Files that the user named: servers' errors are PseudofeedErrors.
        text = f"{problem.filename}: {problem.strerror}"
    if text:
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"pseudofeed: {text}\n")
            sys.stderr.flush()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python would try again at its end, fail again, and say so
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _open_streams() -> None:
    """Streams that take every text. One that is closed (`>&-`) becomes /dev/null: otherwise the next file that is
    opened would get its number, and what is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")


_show_other_warning = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, MarketWarning):
        say_warning(str(message))
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


def say_warning(text: str) -> None:
    stderr.print(f"pseudofeed: warning: {text}", soft_wrap=True)
