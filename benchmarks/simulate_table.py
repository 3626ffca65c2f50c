"""The table of the simulation in README.md: million instrument-steps a second, and our speed over each peer's.

    python benchmarks/simulate_table.py

The rounds of all go round about: a machine that is slow for a while is so for everybody. The best round counts.
"""

from __future__ import annotations

import argparse
import gc
import platform
import time
from pathlib import Path

from simulate_work import SIZES, WHO, work


def measure(instruments: int, steps: int, rounds: int) -> dict[str, float]:
    """Million instrument-steps a second of each."""
    calls = {who: work(who, instruments, steps) for who in WHO}
    best = dict.fromkeys(WHO, 0.0)
    for number in range(rounds + 1):
        for who, (call, instrument_steps) in calls.items():
            gc.collect()
            start = time.perf_counter()
            call()
            speed = instrument_steps / (time.perf_counter() - start) / 1e6
            if number > 0:  # the first round warms up
                best[who] = max(best[who], speed)
    return best


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    results = [measure(instruments, steps, rounds) for instruments, steps in SIZES]
    print(f"{processor()}; Python {platform.python_version()}; best of {rounds} rounds\n")
    print("| million instrument-steps/s | " + " | ".join(f"{n:,} instruments" for n, _ in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    for who in WHO:
        ours = who.startswith(("euler", "qe"))
        cells = [f"{best[who]:.1f}" for best in results]
        print(f"| {'pseudofeed, ' if ours else ''}{who} | " + " | ".join(cells) + " |")
    print("\n| `euler` on one thread is faster than | " + " | ".join(f"{n:,} instruments" for n, _ in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    for who in ("numpy", "numba", "quantlib"):
        print(f"| {who} | " + " | ".join(f"{best['euler'] / best[who]:.1f} ×" for best in results) + " |")
    for scheme in ("euler", "qe"):
        cells = [f"{best[f'{scheme}, 2 threads'] / best[scheme]:.2f} ×" for best in results]
        print(f"| itself with `{scheme}`: two threads over one | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
