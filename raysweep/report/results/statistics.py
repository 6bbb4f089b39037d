"""What may be claimed: paired differences to a reference, and the t-intervals that hold for a whole table at once.

Replicates share splits, flipped labels and initial weights between arms, so differences are taken replicate by
replicate. A percentile bootstrap covers only 75-84 % at 3-5 replicates; Student's t covers 95 % there when differences
are about normal.

A reader sees a table, so the family of tests is the table: all comparisons with the reference in the headline score
(`confirmed`). Interval and verdict are the same Bonferroni t-interval at 1 - 0.05/m and cannot disagree, as Holm's
p-values and Bonferroni's intervals would. Variances are not pooled (Dunnett): they differ between noise levels. All
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
"""No claim below this many shared replicates."""

ROUNDING = 1e-6
"""Scores are computed in float32: differences that agree to this share of the scores are equal. Two replicates that
gain one image each would otherwise give an interval without width and p < 0.001."""

Verdict = Literal["better", "worse", "not distinguishable", "no claim", "exploratory"]

CLAIMS = ("better", "worse")
"""Verdicts that are a claim."""


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

    `low`, `high`: paired-t interval that holds for all comparisons of the table at once in the headline score, for this
    one alone elsewhere; None for n < 2 or where differences do not vary. `error`: standard error of the difference.
    `p`: two-sided paired t-test; `p_adjusted`: Bonferroni's over the table, `p_holm`: Holm's over an exploratory score.
    `why`: what keeps an arm from a claim. `same_as`: the arm that is compared by the same cells, which stands for both;
    the reference, where the cells are its own and nothing is tested.
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
    """Compare two arms, each replicate number to value, at 95 %. None when they share no replicate.

    Differences that do not vary measure no noise: no interval and no p, except that two arms
    with the same values (the same cells) differ by exactly 0 with p = 1.
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
    """A comparison in the headline score, with the interval and the p-value that hold for its whole table.

    Args:
        comparison: as `paired` gives it.
        family: how many comparisons the table plans, at least 1. Planned, not made: what fails makes nothing easier.
        higher_is_better: of the score.
        unfit: why no claim may be made, whatever the numbers say; "" if one may.
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
    """Comparisons in another score: 95 % intervals one by one, Holm's p over all of them, and no verdict."""
    tested = [name for name, comparison in comparisons.items() if comparison.p is not None]
    corrected = dict(zip(tested, holm([comparisons[name].p or 0.0 for name in tested]), strict=True))
    return {name: replace(c, p_holm=corrected.get(name)) for name, c in comparisons.items()}


def simultaneous(family: int) -> str:
    """What intervals hold for: one comparison each, or all of a table at once."""
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


def t_quantile(share: float, freedom: int) -> float:
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
