"""Euclidean mixed labels: classes ranked by their distance in the valence-arousal plane.

Dual-domain affect fusion (Neo, Chen and Winkler), section 3.1.2, Eq. 3.
Shapes: N samples, K classes; 2 is (valence, arousal).
"""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.labels.checks import check_va
from raysweep.labels.moments import class_moments, valence_arousal


def class_means(va: Tensor, labels: Tensor, num_classes: int, within_std: float | None = None) -> Tensor:
    """Centroid mu_k of every class.

    The paper and the authors' code use one mu_k for Eq. 2 and Eq. 3, that of the points within one
    standard deviation: `within_std=1.0` gives it (and so does `class_gaussians(...).means`, where
    no class is absent). The default is the plain mean.

    Args:
        va: (N, 2) float32 or float64; rows with a NaN are left out.
        labels: (N,) int64 in [0, num_classes).
        num_classes: K.
        within_std: as in `class_gaussians`; None for all points.

    Returns:
        (K, 2) in the dtype of `va`; NaN for a class without annotated samples, which
        `euclidean_labels` gives probability 0.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, or no annotated row at all.

    Example:
        >>> va = torch.tensor([[0.2, 0.0], [0.4, 1.0], [-0.5, 0.5]])
        >>> class_means(va, torch.tensor([0, 0, 1]), num_classes=3)
        tensor([[ 0.3000,  0.5000],
                [-0.5000,  0.5000],
                [    nan,     nan]])
    """
    counts_K, means_K2, _ = class_moments(va, labels, num_classes, within_std)
    return means_K2.masked_fill(counts_K[:, None] == 0, torch.nan).to(va.dtype)


def euclidean_labels(va: Tensor, means: Tensor, squared: bool = True) -> Tensor:
    """Mixed labels: p(k | x) = (1 / d_k) / sum_j (1 / d_j), d_k the distance to mu_k, Eq. 3.

    `squared=True` takes d = |x - mu|^2 as the paper prints it, `squared=False` d = |x - mu| as the
    authors' code does. Their max over k in the numerator cancels when a row is normalised.

    Differs from the paper: it divides by zero on a centroid. Here such a point gives all its mass
    to that class, in equal parts where several centroids coincide. Everything is scaled by the
    nearest distance, in float64, so neither tiny nor huge distances overflow.

    Args:
        va: (N, 2) float32 or float64. N may be 0.
        means: (K, 2), from `class_means`; a NaN row is an absent class and gets exactly 0.
        squared: whether distances are squared.

    Returns:
        (N, K) in the dtype of `va`. A row with a NaN in `va` is all NaN; `fuse_labels` then keeps
        the hard label.

    Raises:
        ValueError: wrong shapes, infinite VA, or no finite mean.

    Example:
        >>> means = torch.tensor([[0.0, 0.0], [0.3, 0.4], [torch.nan, torch.nan]])
        >>> euclidean_labels(torch.tensor([[0.6, 0.8], [0.3, 0.4]]), means)
        tensor([[0.2000, 0.8000, 0.0000],
                [0.0000, 1.0000, 0.0000]])
        >>> euclidean_labels(torch.tensor([[0.6, 0.8]]), means, squared=False)
        tensor([[0.3333, 0.6667, 0.0000]])
    """
    check_va(va)
    present_K = _check_means(means)
    means_K2 = means.to(torch.float64)
    # Classes first: each line of memory is then one class, faster than (N, K) for small K.
    v_N, a_N = valence_arousal(va)
    distance_KN = torch.hypot(v_N - means_K2[:, :1], a_N - means_K2[:, 1:])
    distance_KN.masked_fill_(~present_K[:, None], torch.inf)
    nearest_1N = distance_KN.amin(0, keepdim=True)
    # d_min / d_k lies in [0, 1]; the nearest are set to 1 by comparison because 0 / 0 is not.
    closeness_KN = (nearest_1N / distance_KN).masked_fill_(distance_KN == nearest_1N, 1.0)
    if squared:
        closeness_KN.square_()
    labels_KN = closeness_KN.div_(closeness_KN.sum(0, keepdim=True))
    # A missing VA made its whole column NaN but for absent classes (d_min / inf is NaN there too).
    return labels_KN.to(va.dtype).T.contiguous()


def _check_means(means: Tensor) -> Tensor:
    """(K,) bool: which classes have a mean."""
    if means.ndim != 2 or means.shape[1] != 2:
        raise ValueError(f"means must have shape (K, 2), but got {tuple(means.shape)}")
    if bool(means.isinf().any()):
        raise ValueError(f"means must be finite, or NaN for an absent class, but got {means.tolist()}")
    present_K = ~means.isnan().any(1)
    if not bool(present_K.any()):
        raise ValueError(f"at least one class must have a mean, but got none of {len(means)}")
    return present_K
