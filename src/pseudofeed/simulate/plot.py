"""A picture of a run: prices, volatilities and factor levels over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.errors import LibraryError, UnknownSymbol
from pseudofeed.simulate.files.block import Block, Write
from pseudofeed.simulate.files.place import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curves", "draw", "picture_file", "shown_columns"]

_SHOWN = 6  # instruments, by default
_POINTS = 4_000  # of a curve in a picture of a stream, about four per pixel of the width


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The data of a picture, from the start on. time: int64 (T+1,), ns since 1970, UTC. prices, variances: float64
    (T+1, N) of the N symbols. factor_levels: float64 (T+1, K)."""

    symbols: Sequence[str]
    factor_names: Sequence[str]
    time: NDArray[np.int64]
    prices: NDArray[np.float64]
    variances: NDArray[np.float64]
    factor_levels: NDArray[np.float64]


def shown_columns(known: Sequence[str], symbols: Sequence[str] | None) -> list[int]:
    """The positions of the symbols among the known ones; those of the first six by default. Raises
    UnknownSymbol."""
    shown = known[:_SHOWN] if symbols is None else symbols
    unknown = [symbol for symbol in shown if symbol not in known]
    if unknown:
        raise UnknownSymbol(f'these paths have no instrument "{unknown[0]}"; they have {", ".join(known[:5])}')
    return [known.index(symbol) for symbol in shown]


def draw(curves: Curves, file: str | Path | None = None, *, title: str = "") -> Figure:
    """Plot prices as a per cent of their start, volatilities in force, and factor levels, one below the other.

    file: also write the picture there, in the format of its extension (PNG without one). Raises LibraryError without
    matplotlib, ValueError for a format that matplotlib does not know, SettingsError as `place.new_file`.
    """
    figure = _figure_class()(figsize=(10, 9), layout="constrained")
    price, volatility, level = figure.subplots(3, 1, sharex=True)
    time = curves.time.view("datetime64[ns]")
    for symbol, prices, variances in zip(curves.symbols, curves.prices.T, curves.variances.T, strict=True):
        price.plot(time, 100 * prices / prices[0], linewidth=0.9, label=symbol)
        volatility.plot(time, 100 * np.sqrt(np.maximum(variances, 0)), linewidth=0.9)
    for name, levels in zip(curves.factor_names, curves.factor_levels.T, strict=True):
        level.plot(time, 100 * levels, linewidth=0.9, label=name)
    price.set_ylabel("price, % of start")
    volatility.set_ylabel("volatility √v, % a year")
    level.set_ylabel("factor level, %")
    level.set_xlabel("time (UTC)")
    _legend(price)
    _legend(level)
    for axes in (price, volatility, level):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title)
    if file is not None:
        place = Path(file)
        place = place if place.suffix else place.with_name(f"{place.name}.png")
        with new_file(place) as partial:
            figure.savefig(partial, dpi=110, format=place.suffix[1:])
    return figure


@contextmanager
def picture_file(
    path: str | Path,
    start: Curves,
    *,
    steps: int,
    symbols: Sequence[str] | None = None,
    title: str = "",
) -> Iterator[Write]:
    """Draw a stream of `steps` steps into a file, as `draw` does; yields a function that takes blocks.

    start: one row, of all instruments. symbols: those to show, the first six by default. Of a long stream every n-th
    step is drawn, about four per pixel, and the last. Raises as `draw` does, and UnknownSymbol.
    """
    _figure_class()
    columns = np.array(shown_columns(start.symbols, symbols))
    every = math.ceil(steps / _POINTS)
    rows = [(start.time, start.prices[:, columns], start.variances[:, columns], start.factor_levels)]

    def write(block: Block) -> None:
        numbers = np.arange(block.first_step, block.first_step + len(block.time))
        drawn = np.flatnonzero((numbers % every == 0) | (numbers == steps))
        by_instrument = np.ix_(drawn, columns)
        rows.append(
            (block.time[drawn], block.prices[by_instrument], block.variances[by_instrument], block.factor_levels[drawn])
        )

    yield write
    shown = [start.symbols[column] for column in columns]
    draw(Curves(shown, start.factor_names, *map(np.concatenate, zip(*rows, strict=True))), path, title=title)


def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise LibraryError("plots need matplotlib: pip install 'pseudofeed[plot]'") from None
    return Figure


def _legend(axes: Any) -> None:
    """A legend of all curves, with any names: matplotlib skips names that begin with _, and parses those with $ as
    formulas."""
    curves = axes.get_lines()
    legend = axes.legend(curves, [str(number) for number, _ in enumerate(curves)], ncols=6, fontsize="small")
    legend.set_frame_on(False)
    for text, curve in zip(legend.get_texts(), curves, strict=True):
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_text(curve.get_label())
