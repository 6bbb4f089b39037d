"""Which arms cannot be told from the best: multiple comparisons with the best (Hsu, 1984).

Every pair of arms is compared by one-sided paired t-limits, since replicates are shared and variances differ between
arms; Bonferroni takes the place of Hsu's pooled critical value. Let arm b be truly the best of k. With probability
0.95 all k - 1 limits of b against the others hold, and from them follows everything that is said: b is among the arms
named, and every interval of an arm minus the best other arm holds. So k - 1 limits are paid for, not k (k - 1) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from raysweep.report.results.statistics import LEVEL, MIN_REPLICATES, Comparison, paired, t_quantile


@dataclass(frozen=True)
class Standing:
    """An arm's mean minus that of the best other arm: 95 % interval for all arms of a table at once.

    `low` <= 0 <= `high` where a higher score is better; the signs are the score's own. `may_be_best`: the interval
    leaves open that it is better than all others, or as good.
    """

    low: float
    high: float
    may_be_best: bool


def standings(
    arms: Sequence[Mapping[int, float]], higher_is_better: bool, statements: int | None = None
) -> list[Standing]:
    """Compare every arm (replicate to value) with the best of the others.

    Pairs with fewer than five shared replicates, or with differences without variance, exclude nobody from being best.

    Args:
        arms: two or more, each with other cells.
        statements: number of one-sided limits that hold at once, if a table has several such groups of arms; default
            one less than there are arms.
    """
    sign = 1 if higher_is_better else -1
    count = len(arms) - 1 if statements is None else statements
    lower = np.full((len(arms), len(arms)), -math.inf)
    for i, j in combinations(range(len(arms)), 2):  # the upper limit of one arm against another is minus its lower
        low, high = _limits(arms[i], arms[j], sign, count)
        lower[i, j], lower[j, i] = low, -high
    highest = [max(0.0, min(-float(lower[j, i]) for j in range(len(arms)) if j != i)) for i in range(len(arms))]
    contenders = [i for i, high in enumerate(highest) if high > 0]
    found = []
    for i in range(len(arms)):
        rivals = [float(lower[i, j]) for j in contenders if j != i]
        low = min(0.0, *rivals) if rivals else 0.0
        ends = (low, highest[i]) if higher_is_better else (-highest[i], -low)
        found.append(Standing(ends[0] + 0.0, ends[1] + 0.0, highest[i] > 0))
    return found


def _limits(ours: Mapping[int, float], theirs: Mapping[int, float], sign: int, count: int) -> tuple[float, float]:
    """Lower and upper one-sided limit of the difference of two arms, positive where ours is better."""
    comparison = paired(ours, theirs)
    if comparison is None or not _testable(comparison):
        return -math.inf, math.inf
    reach = t_quantile(1 - LEVEL / max(1, count), comparison.n - 1) * (comparison.error or 0.0)
    return sign * comparison.difference - reach, sign * comparison.difference + reach


def _testable(comparison: Comparison) -> bool:
    return bool(comparison.error) and comparison.n >= MIN_REPLICATES
