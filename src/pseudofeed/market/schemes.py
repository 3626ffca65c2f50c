"""The schemes that simulate prices and variances, each declared once. The market file, the array functions and the
native kernels (csrc/simulate) use these names.

A new scheme needs a line here and a kernel there.
"""

from __future__ import annotations

from dataclasses import dataclass

from pseudofeed.random import _random

__all__ = ["MOST_SUBSTEPS", "SCHEMES", "Scheme"]

MOST_SUBSTEPS = _random.MOST_SUBSTEPS


@dataclass(frozen=True, slots=True)
class Scheme:
    """least_variance: the smallest variance that its paths may have. most_reversion: the largest kappa dt of a step at
    which its variance still behaves; beyond it oscillates (None: any). hidden: names of the numbers that it keeps of
    each instrument beside price and variance. state_version: another one where any of these means something else."""

    name: str
    least_variance: float
    most_reversion: float | None
    hidden: tuple[str, ...] = ()
    state_version: int = 1

    def coarse(self, reversion: float, of: str) -> str | None:
        """What is to be said of a step with this kappa dt, which is `of` an instrument; None if it is short enough."""
        if self.most_reversion is None or reversion <= self.most_reversion:
            return None
        return (
            f"{self.name} with kappa dt = {reversion:.3g} ({of}); above {self.most_reversion:g} its variance "
            "overshoots and may stay below zero: take qe, more substeps (a night has one), or a shorter step"
        )


_DECLARED = (
    Scheme("euler", least_variance=float("-inf"), most_reversion=1.0),
    Scheme("qe", least_variance=0.0, most_reversion=None),
)

SCHEMES = {scheme.name: scheme for scheme in _DECLARED}
