"""How commands print their results: for people, or (--json) as one JSON object on the last line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["print_frame", "print_json", "print_migrated", "print_summary", "result_table", "stdout"]

stdout = Console(highlight=False)
_TABLE_WIDTH = 200


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
        frame[column] = [stamp.isoformat().replace("+00:00", "Z") for stamp in frame[column]]
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
    Console(file=sys.stdout, highlight=False, width=max(stdout.width, _TABLE_WIDTH)).print(table)


def print_json(result: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
