"""Gigabytes a second of each CRC-32 kernel that this processor has, and of zlib's; best of the rounds, in turn."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np

from pseudofeed.encode._encode import crc32, crc32_kernels

ROUNDS = 30
SIZES = (60, 1_000, 16_000, 131_000, 640_000, 6_400_000)


def seconds(call: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def main() -> None:
    kernels = crc32_kernels()
    print("bytes".rjust(10), *(name.rjust(12) for name in (*kernels, "zlib")))
    for size in SIZES:
        data = np.random.default_rng(1).bytes(size)
        works: list[Callable[[], object]] = [partial(crc32, data, kernel=kernel) for kernel in kernels]
        works.append(partial(zlib.crc32, data))
        calls = max(1, 5_000_000 // size)
        best = [
            min(times) for times in zip(*([seconds(work, calls) for work in works] for _ in range(ROUNDS)), strict=True)
        ]
        print(f"{size:10,}", *(f"{size / each / 1e9:12.2f}" for each in best))


if __name__ == "__main__":
    main()
