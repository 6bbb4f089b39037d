"""Size of a difference without units: standardised, and as the share of replicates in which an arm is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import optimize, special

from raysweep.report.results.statistics import LEVEL, ROUNDING, Comparison

from .power import noncentral_share


@dataclass(frozen=True)
class Effect:
    """Mean of the paired differences in their standard deviations (d_z), with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Improvement:
    """Share of replicates in which an arm is better than its reference, ties counted half, with its 95 % interval."""

    share: float
    low: float
    high: float


def standardised(comparison: Comparison) -> Effect | None:
    """The standardised difference of a comparison; None for differences without variance.

    The interval inverts the noncentral t-distribution (Cumming and Finch, 2001): exact for normal differences. The
    estimate is plain mean / standard deviation; it is too large on average, by 25 % at n = 5 and 9 % at n = 10.
    """
    if not comparison.error:
        return None
    n, t = comparison.n, comparison.difference / comparison.error
    low, high = (_noncentrality(t, n - 1, share) for share in (1 - LEVEL / 2, LEVEL / 2))
    root = math.sqrt(n)
    return Effect(t / root, low / root, high / root)


def improvement(arm: Mapping[int, float], reference: Mapping[int, float], higher_is_better: bool) -> Improvement | None:
    """Probability that the arm is better in a replicate that it shares with its reference. None without any.

    The interval is Clopper and Pearson's, with ties as losses below and as wins above, so that it covers
    P(better) + P(equal) / 2 at 95 % or more whatever the distribution.
    """
    shared = sorted(arm.keys() & reference.keys())
    if not shared:
        return None
    sign = 1 if higher_is_better else -1
    scale = max(abs(values[r]) for values in (arm, reference) for r in shared)
    gains = [sign * (arm[r] - reference[r]) for r in shared]
    wins = sum(gain > ROUNDING * scale for gain in gains)
    ties = sum(abs(gain) <= ROUNDING * scale for gain in gains)
    n = len(shared)
    low = float(special.betaincinv(wins, n - wins + 1, LEVEL / 2)) if wins else 0.0
    most = wins + ties
    high = float(special.betaincinv(most + 1, n - most, 1 - LEVEL / 2)) if most < n else 1.0
    return Improvement((wins + ties / 2) / n, low, high)


def _noncentrality(t: float, freedom: int, share: float) -> float:
    """The noncentrality at which `share` of a noncentral t-distribution lies below `t`; that share falls with it."""
    step = 1.0 + abs(t)
    low, high = t - step, t + step
    while noncentral_share(freedom, low, t) < share:
        low -= step
    while noncentral_share(freedom, high, t) > share:
        high += step
    return float(optimize.brentq(lambda shift: noncentral_share(freedom, shift, t) - share, low, high))
