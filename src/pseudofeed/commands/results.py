"""How commands print their results: for people, or (--json) as one JSON object on the last line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table

from pseudofeed.commands.console import PlainConsole, stdout
from pseudofeed.simulate.files.place import naming

__all__ = ["print_frame", "print_json", "print_migrated", "print_summary", "result_table"]

_TABLE_WIDTH = 200
_UNITS: tuple[tuple[Literal["s", "ms", "us", "ns"], int], ...] = (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))


def result_table(*left: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def print_summary(done: str, summary: dict[str, Any], json_output: bool) -> None:
    if json_output:
        print_json(summary)
        return
    stdout.print(
        f"{summary['ticks']:,} ticks {done} in {summary['seconds']:.2f} s: {summary['ticks_per_second']:,.0f} ticks/s, "
        f"up to step {summary['last_step']:,}"
    )
    if summary.get("unreadable"):
        count = summary["unreadable"]
        aside = ": see the table quarantine" if done.endswith("stored") else ""
        stdout.print(f"{count:,} {'message' if count == 1 else 'messages'} could not be read{aside}")
    if files := summary.get("files"):
        stdout.print(f"{files:,} Parquet {'file' if files == 1 else 'files'}, one a day")
    if left := summary.get("steps_left"):
        stdout.print(f"stopped early: {left:,} steps are left; run it again to continue", soft_wrap=True)
    if pacing := summary.get("pacing"):
        stdout.print(
            f"delay behind the pace: median {pacing['p50_ms']:.2f} ms, 99 % {pacing['p99_ms']:.2f} ms, "
            f"maximum {pacing['max_ms']:.2f} ms"
        )


def print_migrated(migrated: dict[str, Any], json_output: bool) -> None:
    if json_output:
        print_json(migrated)
        return
    applied = ", ".join(migrated["applied"]) or "nothing, it is up to date"
    stdout.print(f"the store's schema has number {migrated['number']} ({migrated['tier']}); applied: {applied}")


def print_frame(frame: Any, json_output: bool, key: str) -> None:
    for column in frame.select_dtypes(include=["datetimetz"]):
        frame[column] = _texts_of_times(frame[column])
    if json_output:
        # JSON has no NaN.
        rows = [
            {name: None if value != value else value for name, value in row.items()} for row in frame.to_dict("records")
        ]
        print_json({key: rows})
        return
    table = result_table(str(frame.columns[0]), right=[str(column) for column in frame.columns[1:]])
    for row in frame.itertuples(index=False):
        table.add_row(*(repr(value) if isinstance(value, float) else str(value) for value in row))
    # Numbers are shown to the last digit, however narrow the terminal.
    PlainConsole(width=max(stdout.width, _TABLE_WIDTH)).print(table)


def _texts_of_times(column: Any) -> list[str]:
    """ISO 8601 in UTC, in one form: with as many decimals of the second as the finest of them needs, 0, 3, 6 or 9.
    pandas refuses a mixture."""
    import numpy as np

    times = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    fractions = times.astype("int64") % 10**9
    unit = next(unit for unit, length in _UNITS if not (fractions % length).any())
    return [f"{text}Z" for text in np.datetime_as_string(times, unit=unit)]


def print_json(result: dict[str, Any]) -> None:
    with naming("standard output"):
        sys.stdout.write(json.dumps(result) + "\n")
