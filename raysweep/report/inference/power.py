"""Which differences a table can find, and how many replicates a given difference takes.

The test is that of `results.statistics.confirmed`: paired t, two-sided, at 0.05 / m. Its power is exact for normal
differences: with mean d and standard deviation s of n differences the statistic has a noncentral t-distribution with
n - 1 degrees of freedom and noncentrality sqrt(n) d / s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from scipy import special

from raysweep.report.results.statistics import LEVEL, MIN_REPLICATES, Comparison, t_quantile

POWER = 0.8
"""Probability with which a difference that is called detectable is found."""

ADVISED = 10
"""Replicates that are advised for claims."""

MORE = (ADVISED, 20)
"""Numbers of replicates that are named beside a table's own."""

LIMIT = 0.8
"""Confidence of the upper limit of a standard deviation from which replicates are planned."""

MOST = 100_000
"""Above so many replicates, none are planned."""


@dataclass(frozen=True)
class Power:
    """What a family of `family` comparisons over `n` replicates finds with probability `POWER`.

    `effect`: the smallest such mean difference, in standard deviations of paired differences; `std`: that standard
    deviation, root mean square over the comparisons, None if none was measured.
    """

    family: int
    n: int
    effect: float
    std: float | None

    @property
    def difference(self) -> float | None:
        """`effect` in units of the score."""
        return None if self.std is None else self.effect * self.std

    def at(self, n: int) -> Power:
        """The same family with another number of replicates."""
        return Power(self.family, n, detectable_effect(n, self.family), self.std)


def family_power(comparisons: Iterable[Comparison], family: int) -> Power | None:
    """Power of a table's comparisons in its headline score, at the fewest replicates of those that may be claims.

    None if no comparison has two replicates or more with a difference that varies.
    """
    tested = [c for c in comparisons if c.error and not c.same_as]
    fit = [c for c in tested if not c.why] or tested
    if not fit:
        return None
    n = min(c.n for c in fit)
    std = math.sqrt(sum(std_of(c) ** 2 for c in fit) / len(fit))
    return Power(max(1, family), n, detectable_effect(n, family), std)


def std_of(comparison: Comparison) -> float:
    """Standard deviation of the paired differences."""
    return (comparison.error or 0.0) * math.sqrt(comparison.n)


def power(effect: float, n: int, family: int = 1) -> float:
    """Probability of a claim for a mean difference of `effect` standard deviations.

    >>> round(power(0.0, 5), 3), round(power(1.0, 10), 3)
    (0.05, 0.803)
    """
    critical, shift = t_quantile(1 - LEVEL / max(1, family) / 2, n - 1), math.sqrt(n) * effect
    return 1 - noncentral_share(n - 1, shift, critical) + noncentral_share(n - 1, shift, -critical)


@cache
def detectable_effect(n: int, family: int = 1) -> float:
    """The smallest mean difference that is found with probability `POWER`, in standard deviations; n > 1.

    >>> round(detectable_effect(5, 8), 1), round(detectable_effect(20, 8), 1)
    (3.0, 0.9)
    """
    low, high = 0.0, 1.0
    while power(high, n, family) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, n, family) < POWER else (low, middle)
    return high


def replicates_needed(effect: float, family: int = 1) -> int | None:
    """The fewest replicates, at least `MIN_REPLICATES`, that find a difference of `effect` standard deviations with
    probability `POWER`. None: more than `MOST`.

    >>> replicates_needed(1.0), replicates_needed(1.0, 8)
    (10, 17)
    """
    low, high = MIN_REPLICATES - 1, MIN_REPLICATES
    while power(effect, high, family) < POWER:
        if high > MOST:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(effect, middle, family) < POWER else (low, middle)
    return high


def noncentral_share(freedom: int, shift: float, t: float) -> float:
    """Share of a noncentral t-distribution below `t`. SciPy gives NaN where it is closer to 0 or 1 than a float."""
    share = float(special.nctdtr(freedom, shift, t))
    return share if math.isfinite(share) else float(t > shift)


def upper_std(std: float, freedom: int) -> float:
    """Upper 80 % confidence limit of a standard deviation estimated with `freedom` degrees of freedom.

    Planned with it, the power is at least that aimed at with probability 0.8 (Browne, 1995, "On the use of a pilot
    sample for sample size determination", Statistics in Medicine 14); planned with the estimate itself, with
    probability 0.5 or less.

    >>> round(upper_std(1.0, 4), 3)
    1.558
    """
    return std * math.sqrt(freedom / float(special.chdtri(freedom, LIMIT)))
