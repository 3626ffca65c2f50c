"""The table of the simulation in README.md: million instrument-steps a second, and our speed over each peer's.

    python benchmarks/simulate_table.py [--rounds N] [--cpu]

--cpu counts the processor's time instead of the wall's, for a machine that others use too; it can say nothing about two
threads, which are left out. The rounds of all go round about: a machine that is slow for a while is so for everybody.
The best round counts; of two threads over one, the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from pathlib import Path

from simulate_work import OURS, SIZES, WHO, work


def measure(instruments: int, steps: int, rounds: int, *, cpu: bool) -> dict[str, list[float]]:
    """Million instrument-steps a second of each, round by round."""
    clock = time.process_time if cpu else time.perf_counter
    calls = {who: work(who, instruments, steps) for who in WHO if not (cpu and who.endswith("2 threads"))}
    speeds: dict[str, list[float]] = {who: [] for who in calls}
    for number in range(rounds + 1):
        for who, (call, instrument_steps) in calls.items():
            gc.collect()
            start = clock()
            call()
            seconds = clock() - start
            if number > 0:  # the first round warms up
                speeds[who].append(instrument_steps / seconds / 1e6)
    return speeds


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--cpu", action="store_true", help="count the processor's time")
    options = parser.parse_args()
    results = [measure(instruments, steps, options.rounds, cpu=options.cpu) for instruments, steps in SIZES]
    bests = [{who: max(speeds) for who, speeds in result.items()} for result in results]
    counted = "processor's time" if options.cpu else "wall time"
    print(f"{processor()}; Python {platform.python_version()}; {counted}, best of {options.rounds} rounds\n")
    print("| million instrument-steps/s | " + " | ".join(f"{n:,} instruments" for n, _ in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    for who in results[0]:
        ours = who.startswith(("euler", "qe"))
        cells = [f"{best[who]:.1f}" for best in bests]
        print(f"| {'pseudofeed, ' if ours else ''}{who} | " + " | ".join(cells) + " |")
    print("\n| `euler` on one thread is faster than | " + " | ".join(f"{n:,} instruments" for n, _ in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    for who in ("numpy", "numba", "quantlib"):
        print(f"| {who} | " + " | ".join(f"{best['euler'] / best[who]:.1f} ×" for best in bests) + " |")
    if not options.cpu:
        print("\n| two threads over one | " + " | ".join(f"{n:,} instruments" for n, _ in SIZES) + " |")
        print("|---|" + "--:|" * len(SIZES))
        for name in OURS:
            pairs = [zip(result[name], result[f"{name}, 2 threads"], strict=True) for result in results]
            cells = [f"{statistics.median(two / one for one, two in rounds):.2f} ×" for rounds in pairs]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
