"""Writes a market's ticks to files. One simulation serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pseudofeed.simulate.files.block import Write
from pseudofeed.simulate.files.csv import csv_folder
from pseudofeed.simulate.files.parquet import parquet_file
from pseudofeed.simulate.files.place import new_places
from pseudofeed.simulate.files.walk import write_blocks
from pseudofeed.simulate.plot import Curves, picture_file

if TYPE_CHECKING:
    from pseudofeed.market import Market
    from pseudofeed.simulate.paths import TickBlock

__all__ = ["export_market"]


def export_market(
    market: Market,
    steps: int,
    *,
    csv: Path | None = None,
    parquet: Path | None = None,
    plot: Path | None = None,
    symbols: Sequence[str] | None = None,
    title: str = "",
) -> TickBlock:
    """Simulate the steps 1 to `steps` of a market into a folder of CSV files, a Parquet file and a picture, those
    that are given. Returns the last block.

    symbols: the instruments whose CSV files are written, and that are drawn; without them all are written and the first
    six drawn. All of them appear in their places when all are complete: an error or an interrupt leaves everything as
    it was. Raises as `csv_folder`, `parquet_file` and `picture_file` do, and as `Market.stream`.
    """
    names, factors, grain_ns = market.symbols, market.factors.names, market.clock.grain_ns
    with new_places() as places:
        files: list[AbstractContextManager[Write]] = []
        if csv is not None:
            files.append(csv_folder(places, csv, symbols=names, factor_names=factors, grain_ns=grain_ns, keep=symbols))
        if parquet is not None:
            files.append(parquet_file(places, parquet, symbols=names, grain_ns=grain_ns))
        if plot is not None:
            start = Curves(
                names,
                factors,
                market.clock.times(0, 1),
                market.instruments.initial_price[np.newaxis],
                market.instruments.initial_variance[np.newaxis],
                np.zeros((1, len(factors))),
            )
            files.append(picture_file(places, plot, start, steps=steps, symbols=symbols, title=title))
        return write_blocks(market.stream(steps=steps), files, what="simulating", total=steps * len(names))
