"""Paired differences to a reference, with t-intervals that hold simultaneously for a whole table.

Replicates share splits, flipped labels and initial weights between arms, so differences are taken replicate by
replicate. A percentile bootstrap covers only 75-84 % at 3-5 replicates; Student's t covers 95 % there when differences
are about normal.

The family of tests is the table: all comparisons with the reference in the headline score (`confirmed`). Interval and
verdict come from the same Bonferroni t-interval at 1 - 0.05/m and cannot disagree, as Holm's p-values and Bonferroni's
intervals could. Variances are not pooled (Dunnett): they differ between noise levels. All
other scores are exploratory (`explored`). `python -m bench.statistics` counts false claims.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

LEVEL = 0.05
MIN_REPLICATES = 5
"""Minimum number of shared replicates for a claim."""

ROUNDING = 1e-6
"""Relative tolerance for equal differences, since scores are computed in float32. Without it, two replicates that gain
one image each would give an interval of almost no width and p < 0.001."""

Verdict = Literal["better", "worse", "not distinguishable", "no claim", "exploratory"]

CLAIMS = ("better", "worse")
"""Verdicts that are claims."""


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (ddof = 1; None for one value) and t-interval of the mean over n values."""

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """An arm minus its reference over `n` shared replicates.

    `low`, `high`: paired t-interval, simultaneous over the table for the headline score, for this comparison only for
    other scores; None for n < 2 or differences without variance. `error`: standard error of the difference. `p`:
    two-sided paired t-test; `p_adjusted`: Bonferroni over the table; `p_holm`: Holm over an exploratory score. `why`:
    reason against a claim. `same_as`: an arm with the same cells whose comparison holds for both; the reference, if its
    cells are the same and nothing is tested.
    """

    n: int
    difference: float
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    p_holm: float | None = None
    verdict: Verdict = "exploratory"
    why: str = ""
    same_as: str = ""

    @property
    def claims(self) -> bool:
        return self.verdict in CLAIMS


def spread(values: Sequence[float]) -> Spread | None:
    """Summary of finite values; None for no value.

    >>> spread([1.0, 2.0, 3.0]).std
    1.0
    """
    if not values:
        return None
    mean, low, high, std = _mean_interval(np.asarray(values, dtype=np.float64))
    return Spread(len(values), mean, std, low, high)


def paired(arm: Mapping[int, float], reference: Mapping[int, float]) -> Comparison | None:
    """Compare two arms (replicate number to value) at 95 %. None if they share no replicate.

    Differences without variance give no interval and no p, except that two arms with equal values (the same cells)
    differ by exactly 0 with p = 1.
    """
    shared = sorted(arm.keys() & reference.keys())
    if not shared:
        return None
    ours, theirs = (np.asarray([values[r] for r in shared], dtype=np.float64) for values in (arm, reference))
    differences = ours - theirs
    scale = max(float(np.abs(ours).max()), float(np.abs(theirs).max()))
    if float(np.ptp(differences)) <= ROUNDING * scale:
        mean = float(differences.mean())
        same = len(shared) > 1 and float(np.abs(differences).max()) <= ROUNDING * scale
        return Comparison(len(shared), 0.0, 0.0, 0.0, 0.0, 1.0) if same else Comparison(len(shared), mean)
    mean, low, high, std = _mean_interval(differences)
    assert std is not None
    error = std / math.sqrt(len(shared))
    p = 2 * float(special.stdtr(len(shared) - 1, -abs(mean / error)))
    return Comparison(len(shared), mean, error, low, high, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm, 1979).

    The i-th smallest of m is multiplied by m - i + 1; then no adjusted value is below an earlier one.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def confirmed(comparison: Comparison, family: int, higher_is_better: bool, unfit: str = "") -> Comparison:
    """A comparison in the headline score, with interval and p-value simultaneous over its table.

    Args:
        comparison: from `paired`.
        family: number of planned comparisons of the table, at least 1; failed ones count as well.
        higher_is_better: of the score.
        unfit: reason against any claim; "" if there is none.
    """
    c, family = comparison, max(1, family)
    if c.error is None or c.p is None:
        return replace(c, verdict="no claim", why=unfit or _untestable(c))
    reach = t_quantile(1 - LEVEL / family / 2, c.n - 1) * c.error
    low, high = c.difference - reach, c.difference + reach
    why = unfit or (f"n = {c.n}" if c.n < MIN_REPLICATES else "")
    beyond = low > 0 or high < 0
    verdict: Verdict = "better" if (c.difference > 0) == higher_is_better else "worse"
    verdict = "no claim" if why else verdict if beyond else "not distinguishable"
    return replace(c, low=low, high=high, p_adjusted=min(1.0, family * c.p), verdict=verdict, why=why)


def explored(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Comparisons in another score: single 95 % intervals, Holm's p over all of them, and no verdict."""
    tested = [name for name, comparison in comparisons.items() if comparison.p is not None]
    corrected = dict(zip(tested, holm([comparisons[name].p or 0.0 for name in tested]), strict=True))
    return {name: replace(c, p_holm=corrected.get(name)) for name, c in comparisons.items()}


def simultaneous(family: int) -> str:
    """A phrase on whether intervals hold for single comparisons or for a whole table."""
    if family < 2:
        return "95 % t-intervals"
    return f"t-intervals that hold for all {family} comparisons at once at 95 % (Bonferroni)"


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a rate, `count` of `of` (1934).

    >>> tuple(round(x, 4) for x in exact_interval(1, 5))
    (0.0051, 0.7164)
    """
    low = float(special.betaincinv(count, of - count + 1, LEVEL / 2)) if count else 0.0
    high = float(special.betaincinv(count + 1, of - count, 1 - LEVEL / 2)) if count < of else 1.0
    return low, high


def t_quantile(share: float, freedom: float) -> float:
    """Quantile of Student's t."""
    return float(special.stdtrit(freedom, share))


def _untestable(comparison: Comparison) -> str:
    if comparison.n < 2:
        return "n = 1"
    return f"the same difference in all {comparison.n} replicates: no noise to measure it by"


def _mean_interval(values: np.ndarray) -> tuple[float, float | None, float | None, float | None]:
    """Mean, lower and upper 95 % t-limit, standard deviation. Shape of `values` (n,)."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None, None
    std = float(values.std(ddof=1))
    reach = t_quantile(1 - LEVEL / 2, len(values) - 1) * std / math.sqrt(len(values))
    return mean, mean - reach, mean + reach, std
