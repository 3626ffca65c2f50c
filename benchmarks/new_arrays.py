"""Two threads into new arrays, against the same in place plus clearing the new arrays' pages on two threads.

    python benchmarks/new_arrays.py [--rounds N]

The least time of each counts, of rounds that alternate; the last column should be at most 1.
"""

from __future__ import annotations

import argparse
from threading import Thread
from time import perf_counter

import numpy as np

from simulate_work import SIZES, work

PAGE = 512  # doubles


def clear(instruments: int, steps: int) -> None:
    """Have the kernel make the pages of two new arrays: each thread writes to every page of a half."""
    arrays = [np.empty((steps + 1) * instruments) for _ in range(2)]
    half = len(arrays[0]) // 2

    def touch(part: slice) -> None:
        for array in arrays:
            array[part][::PAGE] = 0.0

    other = Thread(target=touch, args=(slice(half, None),))
    other.start()
    touch(slice(half))
    other.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| ms | new | in place | clearing | new over the sum |\n|---|--:|--:|--:|--:|")
    for scheme in ("euler", "qe"):
        for instruments, steps in SIZES:
            new, _ = work(f"{scheme}, 2 threads", instruments, steps)
            in_place, _ = work(f"{scheme} in place, 2 threads", instruments, steps)
            calls = (new, in_place, lambda n=instruments, t=steps: clear(n, t))
            times: list[list[float]] = [[], [], []]
            for _ in range(options.rounds):
                for call, seconds in zip(calls, times, strict=True):
                    begin = perf_counter()
                    call()
                    seconds.append(perf_counter() - begin)
            a, b, c = (min(seconds) * 1e3 for seconds in times)
            print(
                f"| {scheme}, {instruments:,} instruments | {a:.1f} | {b:.1f} | {c:.1f} | {a / (b + c):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
