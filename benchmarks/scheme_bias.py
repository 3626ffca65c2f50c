"""How far each scheme's call prices are off at coarse steps: the tables of docs/model.md.

    python benchmarks/scheme_bias.py            # about a minute on two cores

Each figure is the Monte Carlo price of a call at 100 in one year less the semi-analytic one, in cents, and its standard
error. The share itself, whose mean both schemes keep exactly, is the control variate. Seeds are fixed; so are the
figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from monte_carlo import sample
from reference.heston_pricing import Heston, call

STRIKE, YEARS, PATHS = 100.0, 1.0, 400_000
STEPS_A_YEAR = (4, 12, 24, 52, 252)
MARKETS = {
    "Feller's condition kept: kappa 4, theta 0.06, xi 0.4, rho -0.6, v0 0.1, s 0.15": Heston(
        kappa=4.0, theta=0.06, xi=0.4, rho=-0.6, initial_variance=0.1, own_volatility=0.15
    ),
    "violated: kappa 2, theta 0.04, xi 0.5, rho -0.7, v0 0.04, s 0.1": Heston(
        kappa=2.0, theta=0.04, xi=0.5, rho=-0.7, initial_variance=0.04, own_volatility=0.1
    ),
    "violated by far (Andersen's first): kappa 0.5, theta 0.04, xi 1, rho -0.9, v0 0.04, s 0": Heston(
        kappa=0.5, theta=0.04, xi=1.0, rho=-0.9, initial_variance=0.04
    ),
}


def bias(model: Heston, scheme: str, steps_a_year: int) -> str:
    prices, _ = sample(model, (YEARS,), steps_a_year=steps_a_year, paths=PATHS, seed=1, scheme=scheme)
    payoffs = np.maximum(prices[0] - STRIKE, 0.0)
    excess = prices[0] - model.forward(YEARS)
    payoffs -= (payoffs @ excess) / (excess @ excess) * excess
    off = payoffs.mean() - call(model, STRIKE, YEARS)
    return f"{100 * off:+.1f} ± {100 * payoffs.std() / np.sqrt(PATHS):.1f}"


def main() -> None:
    for name, model in MARKETS.items():
        print(f"\n{name}; worth {100 * call(model, STRIKE, YEARS):.1f}\n")
        print("| steps a year | " + " | ".join(map(str, STEPS_A_YEAR)) + " |")
        print("|---|" + "--:|" * len(STEPS_A_YEAR))
        for scheme in ("euler", "qe"):
            cells = [bias(model, scheme, steps) for steps in STEPS_A_YEAR]
            print(f"| `{scheme}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
