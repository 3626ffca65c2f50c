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

from pseudofeed.errors import LibraryError, SettingsError, UnknownSymbol
from pseudofeed.simulate.files.block import Block, Write
from pseudofeed.simulate.files.place import Places, naming, new_file

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

    file: also write the picture there, in the format of its ending (PNG where it has none). Raises LibraryError without
    matplotlib, SettingsError for a format that matplotlib does not know, and as `Places.file`.
    """
    if file is None:
        return _figure(curves, title)
    place = _with_ending(file)
    with new_file(place) as partial:
        figure = _figure(curves, title)
        _save(figure, partial, place)
    return figure


@contextmanager
def picture_file(
    places: Places,
    path: str | Path,
    start: Curves,
    *,
    steps: int,
    symbols: Sequence[str] | None = None,
    title: str = "",
) -> Iterator[Write]:
    """Draw a stream of `steps` steps into a file, as `draw` does; yields what takes the blocks.

    start: one row, of all instruments. symbols: those to show, the first six where none are named. Of a long stream
    every n-th step is drawn, some four for each pixel, and the last. The start is drawn at once, so that what is wrong
    with the format, the title or matplotlib is said before a long walk. Raises as `draw` does, and UnknownSymbol.
    """
    place = _with_ending(path)
    columns = np.array(shown_columns(start.symbols, symbols))
    every = math.ceil(steps / _POINTS)
    rows = [(start.time, start.prices[:, columns], start.variances[:, columns], start.factor_levels)]

    def save(partial: Path) -> None:
        shown = [start.symbols[column] for column in columns]
        curves = Curves(shown, start.factor_names, *map(np.concatenate, zip(*rows, strict=True)))
        _save(_figure(curves, title), partial, place)

    def write(block: Block) -> None:
        numbers = np.arange(block.first_step, block.first_step + len(block.time))
        drawn = np.flatnonzero((numbers % every == 0) | (numbers == steps))
        by_instrument = np.ix_(drawn, columns)
        rows.append(
            (block.time[drawn], block.prices[by_instrument], block.variances[by_instrument], block.factor_levels[drawn])
        )

    partial = places.file(place)
    save(partial)
    yield write
    save(partial)


def _figure(curves: Curves, title: str) -> Figure:
    with _clear_mistakes("matplotlib"):
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise LibraryError("plots need matplotlib: pip install 'pseudofeed[plot]'") from None
    figure = Figure(figsize=(10, 9), layout="constrained")
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
        figure.suptitle(title, parse_math=False, usetex=False)
    return figure


def _with_ending(path: str | Path) -> Path:
    place = Path(path)
    return place if place.suffix.strip(".") else place.with_name(f"{place.name}.png")


def _save(figure: Figure, partial: Path, place: Path) -> None:
    """Write the figure, in the format that the ending of `place` names."""
    ending, known = place.suffix[1:].lower(), figure.canvas.get_supported_filetypes()
    if ending not in known:
        raise SettingsError(f"{place}: matplotlib has no format {ending!r}; it has {', '.join(sorted(known))}")
    with naming(partial), _clear_mistakes(place):
        figure.savefig(partial, dpi=110, format=ending)


@contextmanager
def _clear_mistakes(what: str | Path) -> Iterator[None]:
    """matplotlib raises ValueError and RuntimeError for settings of the user: MPLBACKEND, matplotlibrc, a LaTeX that is
    not installed."""
    try:
        yield
    except (ValueError, RuntimeError) as problem:
        raise SettingsError(f"{what}: this picture can't be drawn: {problem}") from problem


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
