"""A market on your own machine: simulated, streamed through Kafka, cached in Redis, stored in PostgreSQL, and verified.

Names are loaded when they are first used (PEP 562), so that `import pseudofeed` costs nothing: it imports neither Kafka
nor SQL nor NumPy.
"""

from __future__ import annotations

from importlib import import_module

from pseudofeed import errors

TYPE_CHECKING = False  # typing is not imported: the command's entry point has to be reached before a Ctrl-C comes

if TYPE_CHECKING:
    from pseudofeed.market import Market
    from pseudofeed.market.clock import Clock
    from pseudofeed.query.aio import connect_async
    from pseudofeed.query.client import connect
    from pseudofeed.settings import Connections
    from pseudofeed.simulate.factor_model import nearest_correlation, simulate_factor_returns
    from pseudofeed.simulate.heston_model import simulate_heston_paths
    from pseudofeed.simulate.paths import Paths, TickBlock

__all__ = [
    "Clock",
    "Connections",
    "Market",
    "Paths",
    "TickBlock",
    "connect",
    "connect_async",
    "errors",
    "nearest_correlation",
    "simulate_factor_returns",
    "simulate_heston_paths",
]

_MODULES = {
    "Clock": "pseudofeed.market.clock",
    "Connections": "pseudofeed.settings",
    "Market": "pseudofeed.market",
    "Paths": "pseudofeed.simulate.paths",
    "TickBlock": "pseudofeed.simulate.paths",
    "connect": "pseudofeed.query.client",
    "connect_async": "pseudofeed.query.aio",
    "nearest_correlation": "pseudofeed.simulate.factor_model",
    "simulate_factor_returns": "pseudofeed.simulate.factor_model",
    "simulate_heston_paths": "pseudofeed.simulate.heston_model",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("pseudofeed")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'pseudofeed' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
