"""Counts, means and covariances of each class's points in the valence-arousal plane.

Shapes: N samples, M of them annotated, K classes, D numbers a sample.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from raysweep.labels.checks import check_labels, check_positive, check_same_length, check_va

_EDGE = 1e-12
"""Relative slack of the box. A point mathematically on the edge is outside (strict <), and stays so
when rounding puts it a few 1e-16 inside; without it two-point classes depend on the last bit."""

_FAR = 1e100
"""VA is clamped to +-_FAR before it is squared, so that no float64 overflows."""


class ClassMoments(NamedTuple):
    """Always float64. Rows of classes without annotated points are zero."""

    counts_K: Tensor
    means_K2: Tensor
    covariances_K22: Tensor


def class_moments(va: Tensor, labels: Tensor, num_classes: int, within_std: float | None) -> ClassMoments:
    """Counts of all annotated points; means and biased (1/N) covariances of the kept ones.

    A class keeps its points with |v - mean_v| < within_std * std_v and the same for arousal
    (population std, strict): an axis-aligned box. `None` keeps all. A class whose box is empty
    (two points, a constant axis, two far clusters) keeps all its points.

    Args:
        va: (N, 2) float32 or float64, valence and arousal; a row with a NaN is left out.
        labels: (N,) int64 in [0, num_classes).
        num_classes: K.
        within_std: half the side of the box in standard deviations, > 0, or None.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, or no annotated row at all.
    """
    check_va(va)
    check_labels(labels, num_classes)
    check_same_length(va, labels)
    if within_std is not None:
        check_positive("within_std", within_std)
    annotated_N = ~va.isnan().any(1)
    va_M2, labels_M = va[annotated_N].to(torch.float64), labels[annotated_N]
    if len(va_M2) == 0:
        raise ValueError(f"at least one row of va must be annotated, but got 0 of {len(va)}")

    # Sums over a class are matrix products: unlike index_add they are deterministic on a GPU.
    member_MK = torch.nn.functional.one_hot(labels_M, num_classes).to(torch.float64)
    kept_MK = member_MK if within_std is None else _inside_box(va_M2, labels_M, member_MK, within_std)
    means_K2 = _class_average(kept_MK, va_M2)
    v_M, a_M = (va_M2 - means_K2[labels_M]).unbind(1)
    products_M3 = torch.stack((v_M * v_M, v_M * a_M, a_M * a_M), 1)
    covariances_K22 = _class_average(kept_MK, products_M3)[:, [0, 1, 1, 2]].reshape(num_classes, 2, 2)
    return ClassMoments(member_MK.sum(0), means_K2, covariances_K22)


def valence_arousal(va: Tensor) -> tuple[Tensor, Tensor]:
    """The two columns of (N, 2), each (N,), contiguous, in float64 and safe to square."""
    v_N, a_N = va.to(torch.float64).clamp(-_FAR, _FAR).T.contiguous()
    return v_N, a_N


def _inside_box(va_M2: Tensor, labels_M: Tensor, member_MK: Tensor, within_std: float) -> Tensor:
    """`member_MK` with the points outside their class's box set to 0."""
    centred_M2 = va_M2 - _class_average(member_MK, va_M2)[labels_M]
    std_K2 = _class_average(member_MK, centred_M2.square()).sqrt()
    limit_M2 = (within_std * (1 - _EDGE) * std_K2)[labels_M]
    kept_MK = member_MK * (centred_M2.abs() < limit_M2).all(1, keepdim=True)
    return torch.where(kept_MK.any(0), kept_MK, member_MK)


def _class_average(member_MK: Tensor, values_MD: Tensor) -> Tensor:
    """(K, D); zero where a class has no member."""
    return (member_MK.T @ values_MD) / member_MK.sum(0).clamp_min(1)[:, None]
