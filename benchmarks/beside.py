"""Two installations of pseudofeed beside each other: the simulation's speed, ours over the other's.

    python benchmarks/beside.py OTHER_PYTHON [--rounds N] [--cpu] [--only WORD ...]

OTHER_PYTHON: the interpreter of a virtual environment that holds the other one. Each has a process of its own; the
rounds alternate between them, so a machine that is slow for a while is so for both. The median of the rounds' ratios
counts. --cpu counts the processors' time, of all threads, instead of the wall's, for a machine that others use too.
--only: the cases whose name contains one of these words.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

SIZES = ((100, 20_000), (1_000, 4_000), (10_000, 400))

MARKET = """
market = {{ name = "x", seed = 5 }}
clock = {{ start = 2026-03-02T14:30:00Z, step = "{step}", calendar = "{calendar}"{night} }}
simulation = {{ scheme = "{scheme}" }}
factors = {{ names = ["f", "g", "h"], volatilities = [0.16, 0.08, 0.06] }}
instruments = {{ count = {count} }}
"""


def cases() -> Iterator[tuple[str, Callable[[], Callable[[], object]]]]:
    """Names, and what makes the call that is measured."""
    for scheme in ("euler", "qe"):
        for count, steps in SIZES:
            for threads in (1, 2):
                for place in ("new", "in place"):
                    name = f"arrays, {scheme}, {count} x {steps}, {threads} threads, {place}"
                    yield name, lambda s=scheme, c=count, t=steps, n=threads, p=place: arrays(s, c, t, n, p)  # type: ignore[misc]
    for scheme in ("euler", "qe"):
        for step, steps in (("1s", 100_000), ("1h", 20_000), ("390min", 3_000)):
            for count in (100, 1_000):
                name = f"XNYS, nights, {scheme}, {step}, {count} instruments"
                some = steps if count == 100 else steps // 10
                yield name, lambda s=scheme, e=step, c=count, t=some: sessions(s, e, c, t)  # type: ignore[misc]
    for scheme in ("euler", "qe"):
        for count in (100, 1_000, 10_000):
            for block in (1, None):
                name = f"24/7 stream, {scheme}, 1s, {count} instruments, blocks of {block or 'its own'} steps"
                yield name, lambda s=scheme, c=count, b=block: stream(s, c, b)  # type: ignore[misc]


def arrays(scheme: str, count: int, steps: int, threads: int, place: str) -> Callable[[], object]:
    from pseudofeed.simulate.heston_model import simulate_heston_paths

    rng = np.random.default_rng(1)
    given = {
        "initial_prices": 100.0,
        "initial_variances": 0.04,
        "drift": 0.05,
        "kappa": 2.0,
        "theta": 0.04,
        "xi": 0.5,
        "rho": -0.7,
        "dt": 1 / (252 * 23_400),
        "factor_increments": rng.normal(0.0, 1e-4, (steps, 3)),
        "factor_loadings": rng.normal(1.0, 0.5, (count, 3)),
        "idiosyncratic_volatility": 0.1,
        "seed": 1,
        "scheme": scheme,
        "threads": threads,
    }
    if place == "in place":
        given["out"] = np.zeros((steps + 1, count)), np.zeros((steps + 1, count))
    return lambda: simulate_heston_paths(**given)  # type: ignore[arg-type]


def market(scheme: str, step: str, count: int, calendar: str) -> object:
    import pseudofeed

    night = ", overnight_variance = 0.3" if calendar != "24/7" else ""
    text = MARKET.format(scheme=scheme, step=step, count=count, calendar=calendar, night=night)
    return pseudofeed.Market.loads(text)


def sessions(scheme: str, step: str, count: int, steps: int) -> Callable[[], object]:
    one = market(scheme, step, count, "XNYS")
    return lambda: one.simulate(steps, threads=1)  # type: ignore[attr-defined]


def stream(scheme: str, count: int, block_steps: int | None) -> Callable[[], object]:
    one = market(scheme, "1s", count, "24/7")
    steps = 300 if block_steps else 2_000_000 // count

    def call() -> None:
        for _ in one.stream(steps=steps, block_steps=block_steps, threads=1):  # type: ignore[attr-defined]
            pass

    return call


def serve() -> None:
    """Answer each name on standard input with the seconds that its case takes, of the wall and of the processors."""
    known: dict[str, Callable[[], Callable[[], object]]] = dict(cases())
    made: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made.clear()
            made[name] = known[name]()
            made[name]()
        wall, cpu = perf_counter(), process_time()
        made[name]()
        print(perf_counter() - wall, process_time() - cpu, flush=True)


class Side:
    def __init__(self, python: str) -> None:
        command = [python, "-W", "ignore", str(Path(__file__).absolute()), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")

    def seconds(self, name: str, *, cpu: bool) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(name, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline().split()[cpu])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other_python")
    parser.add_argument("--only", nargs="*", dest="words")
    parser.add_argument("--cpu", action="store_true", help="count the processors' time")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    ours, other = Side(sys.executable), Side(options.other_python)
    print("| case | other, ms | ours, ms | times as fast |\n|---|--:|--:|--:|")
    for name, _ in cases():
        if options.words and not any(word in name for word in options.words):
            continue
        rounds = [
            (other.seconds(name, cpu=options.cpu), ours.seconds(name, cpu=options.cpu)) for _ in range(options.rounds)
        ]
        best = [min(seconds) * 1e3 for seconds in zip(*rounds, strict=True)]
        ratio = statistics.median(before / now for before, now in rounds)
        print(f"| {name} | {best[0]:.1f} | {best[1]:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
