"""Faces whose class and whose valence and arousal contradict each other, the most confident contradiction first.

Every class gets a Gaussian in the valence-arousal plane. A face whose point is very improbable for its class and
lies well inside another one has a wrong class or a wrong point; a person must decide which.
Shapes: N images, K classes, M findings; 2 is (valence, arousal).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from raysweep.labels.gaussians import ClassGaussians, class_gaussians, gaussian_labels

CONFIDENT = 0.9
"""Least posterior of the likeliest class for a contradiction."""

_TRIM, _CONSISTENT = 7.378, 1.104
"""Squared distance within which 97.5 % of a plane Gaussian lie, and the factor from their covariance to that
of all: 0.975 / F(7.378), F the chi-square distribution with four degrees of freedom."""

_WITHIN, _BEYOND = 9.21, 13.82
"""Squared distances within which 99 % and 99.9 % of a plane Gaussian lie."""

_ROUNDS = 20
_TO_STD = 1.4826
"""From the median absolute deviation of a Gaussian to its standard deviation."""
_LEAST_START = 0.1
"""Least standard deviation at the start of a class's fit: most points of a class can coincide."""


class Inconsistencies(NamedTuple):
    """Ranked: `rows` (M,), classes `given` and `likeliest` (M,), their posteriors `p_given` and `p_likeliest` (M,),
    `score` (M,) = log(p_likeliest / p_given) in nats, descending.

    `stray` (S,): rows whose point lies far from every class, so that posteriors are meaningless.
    `gaussians`: the fitted ones; `annotated`: how many rows have valence and arousal.
    """

    rows: Tensor
    given: Tensor
    likeliest: Tensor
    p_given: Tensor
    p_likeliest: Tensor
    score: Tensor
    stray: Tensor
    gaussians: ClassGaussians
    annotated: int


def va_inconsistencies(va: Tensor, labels: Tensor, num_classes: int, confident: float = CONFIDENT) -> Inconsistencies:
    """Faces whose valence and arousal confidently indicate another class than the one given.

    Confidently: the likeliest class has a posterior of at least `confident`, is not the one given, and the point
    lies where 99 % of that class lie.

    Args:
        va: (N, 2), NaN where not annotated: such rows are left out.
        labels: (N,) int64 in [0, num_classes), or negative for none: left out too.
        num_classes: K.
        confident: in (0, 1].

    Raises:
        ValueError: wrong shapes, labels beyond K, infinite VA, or no row with both.
    """
    rows_M = torch.nonzero(va.isfinite().all(1) & (labels >= 0)).flatten()
    va_M2, given_M = va[rows_M].to(torch.float64), labels[rows_M]
    gaussians = robust_gaussians(va_M2, given_M, num_classes)
    posterior_MK = gaussian_labels(va_M2, gaussians)
    distance_MK = squared_distances(va_M2, gaussians)
    p_likeliest_M, likeliest_M = posterior_MK.max(1)
    p_given_M = posterior_MK.gather(1, given_M[:, None])[:, 0]
    score_M = p_likeliest_M.log() - p_given_M.clamp_min(torch.finfo(torch.float64).tiny).log()
    inside_M = distance_MK.gather(1, likeliest_M[:, None])[:, 0] <= _WITHIN
    found = torch.nonzero((p_likeliest_M >= confident) & (likeliest_M != given_M) & inside_M).flatten()
    found = found[torch.argsort(score_M[found], descending=True, stable=True)]
    return Inconsistencies(
        rows=rows_M[found],
        given=given_M[found],
        likeliest=likeliest_M[found],
        p_given=p_given_M[found],
        p_likeliest=p_likeliest_M[found],
        score=score_M[found],
        stray=rows_M[distance_MK.amin(1) > _BEYOND],
        gaussians=gaussians,
        annotated=len(rows_M),
    )


def robust_gaussians(va: Tensor, labels: Tensor, num_classes: int) -> ClassGaussians:
    """`class_gaussians` of the points that fit their class; float64.

    Outliers would otherwise widen the class that they are wrongly in. The fit starts with the points near the median
    of their class, then repeats with the 97.5 % that fit best by the previous fit, until these stay the same. Priors
    are the shares of all points.

    Args:
        va: (M, 2) finite. labels: (M,) int64 in [0, num_classes).
    """
    of_all = class_gaussians(va.to(torch.float64), labels, num_classes, within_std=None)
    kept_M = _near_median(va, labels, num_classes)
    for _ in range(_ROUNDS):
        fitted = class_gaussians(va[kept_M].to(torch.float64), labels[kept_M], num_classes, within_std=None)
        fitted = ClassGaussians(of_all.priors, fitted.means, fitted.covariances * _CONSISTENT)
        fits_M = squared_distances(va, fitted).gather(1, labels[:, None])[:, 0] <= _TRIM
        if bool((fits_M == kept_M).all()):
            break
        kept_M = _never_empty(fits_M, labels, num_classes)
    return fitted


def squared_distances(va: Tensor, gaussians: ClassGaussians) -> Tensor:
    """Squared Mahalanobis distance of every point to every class that has points, inf to others. (M, K) float64."""
    precision_K22 = torch.linalg.inv(gaussians.covariances.to(torch.float64))
    offset_MK2 = va.to(torch.float64)[:, None] - gaussians.means.to(torch.float64)
    distance_MK = torch.einsum("mki,kij,mkj->mk", offset_MK2, precision_K22, offset_MK2)
    return distance_MK.masked_fill(gaussians.priors == 0, torch.inf)


def _near_median(va: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Points within two robust standard deviations of their class's median, on both axes. (M,) bool."""
    near_M = torch.zeros(len(labels), dtype=torch.bool)
    for k in range(num_classes):
        members = torch.nonzero(labels == k).flatten()
        if len(members):
            offset = (va[members] - va[members].median(0).values).abs()
            std = (_TO_STD * offset.median(0).values).clamp_min(_LEAST_START)
            near_M[members] = (offset <= 2 * std).all(1)
    return _never_empty(near_M, labels, num_classes)


def _never_empty(kept_M: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """`kept_M`, with every point of a class that would lose all of them."""
    some_K = torch.bincount(labels[kept_M], minlength=num_classes) > 0
    return kept_M | ~some_K[labels]
