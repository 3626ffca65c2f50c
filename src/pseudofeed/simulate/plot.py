"""A picture of a run: prices, variances and factor levels over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pseudofeed.errors import LibraryError, UnknownSymbol
from pseudofeed.simulate.paths import Paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_paths"]


def plot_paths(
    paths: Paths, file: str | Path | None = None, *, symbols: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Plot prices (as a per cent of their start), volatilities in force and factor levels, one below the other.

    symbols: which instruments (the first six where not given). file: written there too, in the format of its ending.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise LibraryError("plots need matplotlib: pip install 'pseudofeed[plot]'") from None

    shown = list(symbols) if symbols is not None else list(paths.symbols[:6])
    unknown = [symbol for symbol in shown if symbol not in paths.symbols]
    if unknown:
        raise UnknownSymbol(f'these paths have no instrument "{unknown[0]}"; they have {", ".join(paths.symbols[:5])}')
    columns = [paths.symbols.index(symbol) for symbol in shown]
    time = paths.time.view("datetime64[ns]")
    figure = Figure(figsize=(10, 9), layout="constrained")
    price, volatility, level = figure.subplots(3, 1, sharex=True)
    for symbol, column in zip(shown, columns, strict=True):
        price.plot(time, 100 * paths.prices[:, column] / paths.prices[0, column], linewidth=0.9, label=symbol)
        volatility.plot(time, 100 * np.sqrt(np.maximum(paths.variances[:, column], 0)), linewidth=0.9)
    for k, name in enumerate(paths.factor_names):
        level.plot(time, 100 * paths.factor_levels[:, k], linewidth=0.9, label=name)
    price.set_ylabel("price, % of start")
    volatility.set_ylabel("volatility √v, % a year")
    level.set_ylabel("factor level, %")
    level.set_xlabel("time (UTC)")
    price.legend(ncols=6, fontsize="small", frameon=False)
    level.legend(ncols=6, fontsize="small", frameon=False)
    for axes in (price, volatility, level):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title)
    if file is not None:
        figure.savefig(file, dpi=110)
    return figure
