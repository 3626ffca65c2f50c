"""The memory of a long stream: resident MiB after each tenth of it.

python benchmarks/stream_memory.py [TICKS]          # 10,000,000,000 unless said otherwise: some minutes
"""

from __future__ import annotations

import sys
import time

import psutil

from pseudofeed import Market


def main() -> None:
    ticks = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**10
    market = Market.sample(instruments=1_000, factors=3, seed=7)
    process = psutil.Process()
    done, tenth, started = 0, 0, time.perf_counter()
    for block in market.stream(steps=ticks // 1_000):
        done += block.prices.size
        if done * 10 // ticks > tenth:
            tenth = done * 10 // ticks
            speed = done / (time.perf_counter() - started) / 1e6
            print(f"{done:,} ticks: {process.memory_info().rss / 2**20:.1f} MiB, {speed:.1f} M ticks/s", flush=True)


if __name__ == "__main__":
    main()
