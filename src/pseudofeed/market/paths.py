"""The key of a path's random numbers."""

from __future__ import annotations

from pseudofeed.random import _random

__all__ = ["path_key"]

_PATH_PURPOSE = 4  # the counter's purpose word, as csrc/random/counters.h defines them


def path_key(seed: int, path: int) -> int:
    """The 64-bit key of path `path`'s shocks: the seed itself for path 0, else the first two words of Philox4x32-10
    under the seed at the counter (path, 0, 0, path purpose)."""
    if path == 0:
        return seed
    low, high, *_ = _random.philox4x32((path, 0, 0, _PATH_PURPOSE), (seed & 0xFFFFFFFF, seed >> 32))
    return int(low) | int(high) << 32
