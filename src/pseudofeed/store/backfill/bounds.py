"""Which steps of a market "from" and "to" mean."""

from __future__ import annotations

import re
import time

from pseudofeed.errors import SettingsError
from pseudofeed.market import Market
from pseudofeed.times import format_time, nanoseconds

__all__ = ["steps_between"]

_STEP = re.compile(r"[0-9]{1,15}", re.ASCII)


def steps_between(market: Market, begin: str | None, end: str | None, *, now_ns: int | None = None) -> tuple[int, int]:
    """The first and the last step. A whole number is a step and belongs to the range; any other text is a moment:
    begin <= time < end, as `Client.ticks` has it. begin: None is step 1. end: None is the market's last step, or the
    newest one at this moment where the market has no end.

    Raises SettingsError saying what is wrong with which of them, SimulationError where a time leaves the calendar.
    """
    clock = market.clock
    start = f"market {market.name} starts at {format_time(clock.start_ns)}"
    first = 1
    if begin is not None and _STEP.fullmatch(begin):
        first = int(begin)
        if first < 1:
            raise SettingsError(f"--from is step {first}; the first step is 1 (step 0 is the start, and no tick)")
    elif begin is not None:
        begin_ns = _moment(begin, "--from")
        if begin_ns < clock.start_ns:
            raise SettingsError(f"--from is {begin}, but {start}, and there is nothing before")
        first = max(1, clock.step_at(begin_ns - 1) + 1)
    if end is None and clock.last_step is not None:
        if clock.last_step < first:
            raise SettingsError(f"--from is {begin}, but market {market.name} ends with step {clock.last_step}")
        return first, clock.last_step
    if end is None:
        last = clock.step_at(time.time_ns() if now_ns is None else now_ns)
        if last < first:
            where = start if begin is None else f"--from is {begin}"
            raise SettingsError(f"{where}, and no step lies between that and the present: set --to")
        return first, last
    if _STEP.fullmatch(end):
        last = int(end)
        if last < 1:
            raise SettingsError(f"--to is step {last}; the first step is 1 (step 0 is the start, and no tick)")
        clock.times(last, 1)  # a step that the market does not have
    else:
        last = clock.step_at(_moment(end, "--to") - 1)
        if last < 1:
            raise SettingsError(f"--to is {end}, but {start}, and has no tick before that")
    if last < first:
        raise SettingsError(
            f"--from ({begin or 'step 1'}) begins at step {first}, --to ({end}) ends at step {last}: there is no step "
            f"between them"
        )
    return first, last


def _moment(text: str, option: str) -> int:
    try:
        return nanoseconds(text, option)
    except ValueError as problem:
        raise SettingsError(f"{problem}; it is a step or a time such as 2026-03-02T14:30Z") from None
