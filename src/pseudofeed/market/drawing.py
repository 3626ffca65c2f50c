"""A market's instruments: their symbols, and their parameters as numbers, drawn if the file has a distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.market.mistakes import market_file_error
from pseudofeed.market.parameters import LOADING, PARAMETERS, InstrumentParameters, Parameter, draw
from pseudofeed.market.sample import drawn_symbols
from pseudofeed.market.specification import Specification

__all__ = ["draw_instruments"]

Floats = NDArray[np.float64]


def draw_instruments(specification: Specification, file: str) -> tuple[tuple[str, ...], InstrumentParameters]:
    """Symbols and parameters. Raises MarketFileError naming each draw, and each total drift, that is out of range."""
    table: Any = specification["instruments"]
    rows, defaults, seed = table["list"], table["defaults"], int(str(specification["market"]["seed"]))
    listed = [row["symbol"] for row in rows]
    symbols = (*listed, *drawn_symbols(table["count"], set(listed)))
    mistakes: list[str] = []

    def drawn(parameter: Parameter, loading: int | None = None) -> Floats:
        def pick(value: Any) -> Any:
            return value if loading is None else value[loading]

        name = parameter.name
        own = {number: pick(row[name]) for number, row in enumerate(rows) if name in row}
        result = draw(parameter, pick(defaults[name]), own, seed=seed, instruments=len(symbols), loading=loading)
        if result.outside.size:
            number = int(result.outside[0])
            key = f"instruments.list[{number}].{name}" if number in own else f"instruments.defaults.{name}"
            more = f" (and for {result.outside.size - 1} more)" if result.outside.size > 1 else ""
            mistakes.append(
                f"{key}{'' if loading is None else f'[{loading}]'}: drawn {float(result.values[number])!r} for "
                f"instrument {symbols[number]}{more}; must be {parameter.allowed}: give the distribution low and high"
            )
        return result.values

    values = {parameter.name: drawn(parameter) for parameter in PARAMETERS}
    loadings = [drawn(LOADING, k) for k in range(len(defaults["factor_loadings"]))]
    values[LOADING.name] = np.stack(loadings, axis=1)
    if table["drift"] == "alpha":
        values["drift"] = _total_drift(values["drift"], values[LOADING.name], specification)
        drift = next(parameter for parameter in PARAMETERS if parameter.name == "drift")
        outside = [number for number, value in enumerate(values["drift"].tolist()) if not drift.allows(value)]
        if outside and not mistakes:
            mistakes.append(
                f"instruments.drift: with alpha, drift and loadings x factors.drifts of instrument "
                f"{symbols[outside[0]]} add up to {float(values['drift'][outside[0]])!r}; must be {drift.allowed}"
            )
    if mistakes:
        raise market_file_error(file, mistakes)
    return symbols, InstrumentParameters(**values)


def _total_drift(alpha: Floats, loadings: Floats, specification: Specification) -> Floats:
    """alpha + beta . mu_F, (N,), factor after factor: the bits of every tick depend on it."""
    total = alpha.copy()
    factor_drifts: Any = specification["factors"]["drifts"]
    for k, drift in enumerate(factor_drifts):
        total += loadings[:, k] * drift
    return total
