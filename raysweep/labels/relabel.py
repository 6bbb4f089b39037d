"""Relabelling by the nearest class centre in the valence-arousal plane.

DCJT (discrete-continuous joint training), section 3.4, Equations 2 and 3. There the centres are those of
data set A, and the points the mapped VA of data set B without the selected subset (see `mapping`).
Shapes: N samples, K classes; 2 is (valence, arousal).
"""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.labels.checks import check_va
from raysweep.labels.euclidean import class_means
from raysweep.labels.moments import valence_arousal


def class_centroids(va_N2: Tensor, labels_N: Tensor, num_classes: int) -> Tensor:
    """Centre CC^i of every class: the plain mean of its points, DCJT, Equation 2.

    The `class_means` of the whole class, left in float64 for `relabel_by_centroid`.

    Args:
        va_N2: (N, 2) float32 or float64; rows with a NaN are left out.
        labels_N: (N,) int64 in [0, num_classes).
        num_classes: K.

    Returns:
        (K, 2) float64; NaN for a class without annotated samples.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, or no annotated row at all.

    Example:
        >>> class_centroids(torch.tensor([[0.25, 0.0], [0.75, 1.0]]), torch.tensor([0, 0]), num_classes=2)
        tensor([[0.5000, 0.5000],
                [   nan,    nan]], dtype=torch.float64)
    """
    check_va(va_N2)
    return class_means(va_N2.to(torch.float64), labels_N, num_classes)


def relabel_by_centroid(va_N2: Tensor, centroids_K2: Tensor) -> Tensor:
    """The class with the nearest centre, argmin_i |y_j - CC^i|^2, DCJT, Equation 3.

    A point's previous label is ignored. Where centres lie close together the nearest one says little:
    of points drawn from a class's own Gaussian on RAF-DB, 26 % (fear) to 94 % (neutral) get that class.

    Args:
        va_N2: (N, 2) float32 or float64, no NaN. N may be 0.
        centroids_K2: (K, 2), from `class_centroids`; a NaN row is an absent class, never chosen.

    Returns:
        (N,) int64 in [0, K), the lowest of equally near classes.

    Raises:
        ValueError: wrong shapes, VA infinite or NaN, or no finite centroid.

    Example:
        >>> centroids = torch.tensor([[torch.nan, torch.nan], [0.5, 0.0], [-0.5, 0.0]])
        >>> relabel_by_centroid(torch.tensor([[0.1, 0.9], [-0.1, 0.0], [0.0, 0.0]]), centroids)
        tensor([1, 2, 1])
    """
    check_va(va_N2)
    missing = torch.nonzero(va_N2.isnan().any(1))
    if len(missing):
        raise ValueError(
            f"every row of va must be annotated to be relabelled, but {len(missing)} of {len(va_N2)} "
            f"have a NaN, the first in row {int(missing[0])}"
        )
    present_P = _present(centroids_K2)
    v_P, a_P = valence_arousal(centroids_K2[present_P])
    v_N, a_N = valence_arousal(va_N2)
    distance_PN = (v_N - v_P[:, None]).square() + (a_N - a_P[:, None]).square()
    return present_P[distance_PN.argmin(0)]


def _present(centroids_K2: Tensor) -> Tensor:
    """The P <= K classes that have a centre, ascending."""
    if centroids_K2.ndim != 2 or centroids_K2.shape[1] != 2 or not centroids_K2.is_floating_point():
        raise ValueError(
            "centroids must be a floating-point tensor of shape (K, 2), "
            f"but got {centroids_K2.dtype} of shape {tuple(centroids_K2.shape)}"
        )
    if bool(centroids_K2.isinf().any()):
        raise ValueError(f"centroids must be finite, or NaN for an absent class, but got {centroids_K2.tolist()}")
    present_P = torch.nonzero(~centroids_K2.isnan().any(1)).flatten()
    if len(present_P) == 0:
        raise ValueError(f"at least one class must have a centroid, but got none of {len(centroids_K2)}")
    return present_P
