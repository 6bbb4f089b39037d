"""Hard, smoothed and fused labels.

Dual-domain affect fusion (Neo, Chen and Winkler), section 3.2, Eq. 4.
Shapes: N samples, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.labels.checks import check_distributions, check_labels, check_shape, check_share


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """All mass on the label.

    Args:
        labels: (N,) int64 in [0, num_classes).
        num_classes: K.
        dtype: of the result, floating point.

    Returns:
        (N, K).

    Raises:
        ValueError: labels of another shape or type, or out of range.

    Example:
        >>> one_hot(torch.tensor([2, 0]), num_classes=3)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    check_labels(labels, num_classes)
    return torch.nn.functional.one_hot(labels, num_classes).to(dtype)


def smooth_labels(labels: Tensor, num_classes: int, epsilon: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform label smoothing: (1 - epsilon) * one_hot + epsilon / K, the label's own class included.

    This is the definition of Szegedy et al. (2016) and Mueller et al. (2019), and that of
    `torch.nn.CrossEntropyLoss(label_smoothing=epsilon)`; it does not spread epsilon over the other
    K - 1 classes only.

    Args:
        labels: (N,) int64 in [0, num_classes).
        num_classes: K.
        epsilon: the mass that is spread, in [0, 1].
        dtype: of the result, floating point.

    Returns:
        (N, K), rows summing to 1.

    Raises:
        ValueError: labels out of range, or epsilon outside [0, 1].

    Example:
        >>> smooth_labels(torch.tensor([0]), num_classes=4, epsilon=0.2)
        tensor([[0.8500, 0.0500, 0.0500, 0.0500]])
    """
    check_share("epsilon", epsilon)
    return one_hot(labels, num_classes, dtype) * (1 - epsilon) + epsilon / num_classes


def fuse_labels(labels: Tensor, mixed: Tensor, alpha: float | Tensor) -> Tensor:
    """Fused labels: alpha * p_GT + (1 - alpha) * p_VA, Eq. 4.

    alpha = 1 returns the ground truth and alpha = 0 the mixed labels, bit for bit.

    Differs from the paper: it assumes VA for every image. Here a row whose mixed label holds a NaN
    (VA missing) keeps its ground truth, whatever alpha is.

    Args:
        labels: (N,) int64 in [0, K), taken as one-hot, or (N, K) distributions.
        mixed: (N, K) float32 or float64, from `gaussian_labels` or `euclidean_labels`.
        alpha: in [0, 1]; one number, or one a sample as a (N,) tensor.

    Returns:
        (N, K) in the dtype of `mixed`.

    Raises:
        ValueError: alpha outside [0, 1], labels out of range, or shapes that do not match.

    Example:
        >>> mixed = torch.tensor([[0.2, 0.8], [torch.nan, torch.nan]])
        >>> fuse_labels(torch.tensor([0, 1]), mixed, alpha=0.5)
        tensor([[0.6000, 0.4000],
                [0.0000, 1.0000]])
    """
    check_distributions("mixed", mixed)
    truth_NK = _as_distributions(labels, mixed)
    share = _check_alpha(alpha, mixed)
    fused_NK = share * truth_NK + (1 - share) * mixed
    return torch.where(mixed.isnan().any(1, keepdim=True), truth_NK, fused_NK)


def _as_distributions(labels: Tensor, mixed: Tensor) -> Tensor:
    because = f"mixed of shape {tuple(mixed.shape)}"
    if labels.ndim == 2:
        check_distributions("labels", labels)
        check_shape("labels", labels, tuple(mixed.shape), because)
        return labels.to(mixed.dtype)
    check_shape("labels", labels, (len(mixed),), because)
    return one_hot(labels, mixed.shape[1], mixed.dtype)


def _check_alpha(alpha: float | Tensor, mixed: Tensor) -> float | Tensor:
    """A float, or a (N, 1) column."""
    if not isinstance(alpha, Tensor):
        check_share("alpha", alpha)
        return alpha
    if alpha.ndim > 0:
        check_shape("alpha", alpha, (len(mixed),), f"mixed of shape {tuple(mixed.shape)}")
    outside = torch.nonzero(~((alpha >= 0) & (alpha <= 1)).reshape(-1)).flatten()
    if len(outside):
        row = int(outside[0])
        raise ValueError(f"`0 <= alpha <= 1` must hold, but got {alpha.reshape(-1)[row].item()} in row {row}")
    return alpha.to(mixed.dtype).reshape(-1, 1)
