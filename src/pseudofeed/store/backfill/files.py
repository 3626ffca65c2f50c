"""A backfill's Parquet files: day=2026-03-02/<market>.parquet, a row a tick as `Paths.to_parquet` writes them.

A file appears in its place when it is complete, and its metadata says whose steps it has: so a file that has the steps
that are wanted of its day is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudofeed.errors import SettingsError
from pseudofeed.market import Market
from pseudofeed.records.arrow import arrow_library
from pseudofeed.simulate.files.names import portable_name
from pseudofeed.simulate.files.parquet import ROW_GROUP, parquet_file
from pseudofeed.simulate.files.place import new_places
from pseudofeed.simulate.files.walk import write_blocks
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.state import MarketState
from pseudofeed.simulate.stream import advance, stream

__all__ = ["DayFile", "day_files", "write_day_files"]

_DAY_NS = 86_400_000_000_000
_KEY = b"pseudofeed"


@dataclass(frozen=True, slots=True)
class DayFile:
    """The file of a UTC day and the steps, first to last, that it is to have. complete: it has them."""

    path: Path
    first: int
    last: int
    complete: bool


def day_files(market: Market, directory: Path, first: int, last: int) -> list[DayFile]:
    """The files of the steps first to last, by day. One that has other steps of its day keeps them: it will have all
    between. Raises LibraryError without pyarrow, SettingsError naming a file that is not this market's."""
    arrow_library("pyarrow.parquet", needed_for="Parquet")
    files = []
    step = first
    while step <= last:
        day = int(market.clock.times(step, 1)[0]) // _DAY_NS
        end = min(last, market.clock.step_at((day + 1) * _DAY_NS - 1))
        path = directory / f"day={np.datetime64(day, 'D')}" / f"{portable_name(market.name)}.parquet"
        known = _known_steps(market, path)
        if known is None:
            files.append(DayFile(path, step, end, complete=False))
        else:
            begin, finish = min(step, known[0]), max(end, known[1])
            files.append(DayFile(path, begin, finish, complete=(begin, finish) == known))
        step = end + 1
    return files


def write_day_files(market: Market, files: Sequence[DayFile], going_on: Callable[[], bool]) -> tuple[int, int]:
    """(files that are complete, ticks written), all files unless `going_on` says no meanwhile."""
    state: MarketState | None = None
    complete = ticks = 0
    for file in files:
        if file.complete:
            complete += 1
            continue
        if state is not None and state.step >= file.first:  # a day that has more steps than were asked for
            state = None
        state = advance(market, state, file.first - 1, threads=1, going_on=lambda _step: going_on())
        if not going_on():
            break
        try:
            state = _write(market, file, state, going_on)
        except _StoppedError:
            break
        complete += 1
        ticks += (file.last - file.first + 1) * len(market.symbols)
    return complete, ticks


class _StoppedError(Exception):
    """Somebody asked to stop."""


def _write(market: Market, file: DayFile, state: MarketState | None, going_on: Callable[[], bool]) -> MarketState:
    def blocks() -> Iterator[TickBlock]:
        reached = file.first - 1
        for block in stream(
            market,
            start_step=file.first,
            steps=file.last - reached,
            block_steps=max(1, ROW_GROUP // len(market.symbols)),
            state=state,
            stopping=lambda: not going_on(),
        ):
            if not going_on():
                raise _StoppedError
            reached = block.last_step
            yield block
        if reached < file.last:
            raise _StoppedError

    text = json.dumps(_description(market) | {"first_step": file.first, "last_step": file.last})
    ticks = (file.last - file.first + 1) * len(market.symbols)
    with new_places() as places:
        target = parquet_file(
            places, file.path, symbols=market.symbols, grain_ns=market.clock.grain_ns, metadata={_KEY.decode(): text}
        )
        return write_blocks(blocks(), [target], what=f"writing {file.path.name}", total=ticks).state


def _description(market: Market) -> dict[str, Any]:
    return {"market": market.name, "fingerprint": f"{market.fingerprint:016x}"}


def _known_steps(market: Market, path: Path) -> tuple[int, int] | None:
    """The steps, first to last, of a file that is there. Raises SettingsError where it is not this market's."""
    if not path.exists():
        return None
    pa = arrow_library(needed_for="Parquet")
    parquet = arrow_library("pyarrow.parquet", needed_for="Parquet")
    try:
        found = json.loads((parquet.read_schema(path).metadata or {})[_KEY])
        ours = {key: found[key] for key in ("market", "fingerprint")} == _description(market)
        steps = int(found["first_step"]), int(found["last_step"])
    except (KeyError, ValueError, TypeError, pa.ArrowException):
        raise SettingsError(
            f"{path} is not a file of pseudofeed backfill: move it away, or use another folder"
        ) from None
    if not ours:
        raise SettingsError(
            f"{path} has ticks of market {found['market']} with another specification (fingerprint "
            f"{found['fingerprint']}, here {market.fingerprint:016x}): use another folder, or delete it"
        )
    return steps
