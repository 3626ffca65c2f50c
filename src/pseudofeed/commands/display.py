"""What a person sees while stages run: one calm table that is rewritten in place, and nothing where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pseudofeed.operate.control import Progress
from pseudofeed.operate.supervisor import Supervisor
from pseudofeed.store.backfill.steps import merge
from pseudofeed.verify.report import VerifyReport

__all__ = ["ProgressLine", "RunDisplay", "quotes_table", "verify_table"]

_REFRESHES_PER_SECOND = 4.0


class _Rate:
    """Ticks a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def of(self, ticks: int, now: float) -> float:
        self._seen.append((now, ticks))
        while self._seen[-1][0] - self._seen[0][0] > 2.0 and len(self._seen) > 2:
            self._seen.pop(0)
        (before, fewer), span = self._seen[0], now - self._seen[0][0]
        return max(0.0, (ticks - fewer) / span) if span > 0 and now > before else 0.0


class RunDisplay:
    """Pass `refresh` as a Supervisor's `on_refresh`, within `with`. Silent where the console is no terminal.

    quotes: called with each refresh for the rows of a small table of moving quotes, or None.
    """

    def __init__(self, console: Console, *, quotes: Callable[[], RenderableType | None] | None = None) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._quotes = quotes
        self._rates: dict[str, _Rate] = {}
        self._drawn = 0.0

    def __enter__(self) -> RunDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def refresh(self, supervisor: Supervisor) -> None:
        now = time.monotonic()
        if self._live is None or (now - self._drawn < 1 / _REFRESHES_PER_SECOND and not supervisor.done):
            return
        self._drawn = now
        parts: list[RenderableType] = [self._stages(supervisor, now)]
        quotes = self._quotes() if self._quotes is not None else None
        if quotes is not None:
            parts += ["", quotes]
        self._live.update(Group(*parts), refresh=True)

    def _stages(self, supervisor: Supervisor, now: float) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("stage", min_width=10)
        for heading in ("ticks", "ticks/s", "step", "lag (messages)"):
            table.add_column(heading, justify="right", min_width=11)
        for name, progress, running in supervisor.workers:
            if progress is None:
                table.add_row(name, "", "", "", Text("starting" if running else "waiting", style="dim"))
                continue
            rate = self._rates.setdefault(name, _Rate()).of(progress.ticks, now)
            lag = "" if progress.lag is None else f"{progress.lag:,}"
            table.add_row(name, f"{progress.ticks:,}", f"{rate:,.0f}", f"{progress.sequence:,}", lag)
        return table


def quotes_table(rows: Sequence[tuple[str, float, float, datetime]]) -> Table:
    """A table of quotes: (symbol, price, variance, time) each; the variance is shown as the volatility in force."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("symbol", min_width=10)
    for heading in ("price", "volatility", "time (UTC)"):
        table.add_column(heading, justify="right", min_width=11)
    for symbol, price, variance, stamp in rows:
        volatility = 100 * max(variance, 0.0) ** 0.5
        table.add_row(symbol, f"{price:,.2f}", f"{volatility:.1f} %", f"{stamp:%Y-%m-%d %H:%M:%S}")
    return table


def verify_table(report: VerifyReport) -> RenderableType:
    """A row a stage, and under it the first difference, or that there is none."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", min_width=16)
    for heading in ("ticks", "expected", "missing", "repeated", "altered", "unexpected"):
        # 78 columns in all: it fits an old terminal.
        table.add_column(heading, justify="right", min_width=9 if heading in ("ticks", "expected") else None)
    for stage, tally in report.stages.items():
        counts = (tally.ticks, tally.expected, tally.missing, tally.repeated, tally.altered, tally.unexpected)
        table.add_row(stage.replace("_", " "), *(f"{count:,}" for count in counts))
    aside = sum(tally.quarantined for tally in report.stages.values())
    notes = [Text(f"messages that could not be read, in the table quarantine: {aside:,}")] if aside else []
    notes += [
        Text(f"a backfill is unfinished: {tally.unfinished:,} steps are left; run it again to continue")
        for tally in report.stages.values()
        if tally.unfinished
    ]
    if report.equal:
        ranges = [(1, report.steps)] if report.steps else []
        ranges += [part for tally in report.stages.values() for part in tally.backfilled]
        steps = " and ".join(f"{first:,} to {last:,}" for first, last in merge(ranges)) or "1 to 0"
        return Group(table, *notes, f"{report.market}: equal to the simulation, steps {steps}")
    differences = [str(tally.first_difference) for tally in report.stages.values() if tally.first_difference]
    return Group(table, *notes, *(Text(text) for text in ("first difference:", *differences)))


class ProgressLine:
    """One line about a single stage, rewritten in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = _Rate()
        self._drawn = 0.0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._drawn < 1 / _REFRESHES_PER_SECOND:
            return
        self._drawn = now
        lag = "" if progress.lag is None else f", {progress.lag:,} messages behind"
        text = f"{progress.ticks:,} ticks, {self._rate.of(progress.ticks, now):,.0f}/s, step {progress.sequence:,}{lag}"
        self._console.file.write(f"\r\x1b[K{text}")
        self._console.file.flush()

    def end(self) -> None:
        if self._drawn:
            self._console.file.write("\r\x1b[K")
            self._console.file.flush()
