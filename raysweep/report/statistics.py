"""What may be claimed: paired differences to a reference, their t-intervals, and Holm's correction.

Replicates share splits, flipped labels and initial weights between arms, so differences are taken
replicate by replicate. A percentile bootstrap covers only 75-84 % at 3-5 replicates; Student's t
covers 95 % there when differences are about normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.05
MIN_REPLICATES = 5
"""No claim below this many shared replicates."""

ROUNDING = 1e-6
"""Scores are computed in float32: differences that agree to this share of the scores are equal. Two replicates that
gain one image each would otherwise give an interval without width and p < 0.001."""

Verdict = Literal["better", "worse", "not distinguishable", "no claim"]


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

    `low`, `high`: 95 % paired-t interval, None for n < 2 or where differences do not vary.
    `p`: two-sided paired t-test; `p_holm`: corrected over the arms of the same reference.
    """

    n: int
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None = None
    verdict: Verdict = "no claim"


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
    """Compare two arms, each replicate number to value. None when they share no replicate.

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
        return Comparison(len(shared), 0.0 if same else mean, *((0.0, 0.0, 1.0) if same else (None, None, None)))
    mean, low, high, std = _mean_interval(differences)
    assert std is not None
    t = mean / (std / math.sqrt(len(shared)))
    return Comparison(len(shared), mean, low, high, float(2 * stats.t.sf(abs(t), len(shared) - 1)))


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


def judged(family: Mapping[str, Comparison], higher_is_better: bool) -> dict[str, Comparison]:
    """The comparisons with one reference, corrected together and each given its verdict.

    Arms without a p-value are not part of the correction and allow no claim.
    """
    tested = [name for name, comparison in family.items() if comparison.p is not None]
    corrected = dict(zip(tested, holm([family[name].p or 0.0 for name in tested]), strict=True))
    return {
        name: replace(c, p_holm=corrected.get(name), verdict=_verdict(c, corrected.get(name), higher_is_better))
        for name, c in family.items()
    }


def _verdict(comparison: Comparison, p_holm: float | None, higher_is_better: bool) -> Verdict:
    if comparison.n < MIN_REPLICATES or p_holm is None:
        return "no claim"
    if p_holm >= LEVEL:
        return "not distinguishable"
    return "better" if (comparison.difference > 0) == higher_is_better else "worse"


def _mean_interval(values: np.ndarray) -> tuple[float, float | None, float | None, float | None]:
    """Mean, lower and upper 95 % t-limit, standard deviation. Shape of `values` (n,)."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None, None
    std = float(values.std(ddof=1))
    reach = float(stats.t.ppf(1 - LEVEL / 2, len(values) - 1)) * std / math.sqrt(len(values))
    return mean, mean - reach, mean + reach, std
