"""Class weights and sample weights.

Dual-domain affect fusion (Neo, Chen and Winkler), section 3.3, Eq. 5-8.
Shapes: N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raysweep.labels.checks import check_distributions, check_labels, check_shape

DEFAULT_CAP = 5.0


def class_weights(labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """W_k = N_max / N_k, Eq. 5; all ones for a balanced set.

    Callers choose the labels: the authors use the clean ones, also where training uses noisy ones.

    Differs from the paper: a class without samples has weight 0, not infinity. A sample that noise
    moved into such a class then has weight 0 under the rule `hard`.

    Args:
        labels: (N,) int64 in [0, num_classes). N may be 0: all weights are 0.
        num_classes: K.
        dtype: of the result, floating point.

    Returns:
        (K,), each 0 or at least 1.

    Raises:
        ValueError: labels of another shape or type, or out of range.

    Example:
        >>> class_weights(torch.tensor([0, 0, 0, 0, 1, 1]), num_classes=3)
        tensor([1., 2., 0.])
    """
    check_labels(labels, num_classes)
    counts_K = torch.bincount(labels, minlength=num_classes).to(torch.float64)
    weights_K = counts_K.max() / counts_K
    return weights_K.masked_fill(counts_K == 0, 0.0).to(dtype)


def sample_weights(
    rule: str, class_weights: Tensor, hard_labels: Tensor, soft_labels: Tensor, cap: float = DEFAULT_CAP
) -> Tensor:
    """One weight a sample for the losses of Eq. 6-8, by a rule of `WEIGHT_RULES`.

    `hard`: W of the sample's (noisy) hard label, as in the authors' code.
    `soft`: sum_k W_k y_k over the (fused) label, the other reading of Eq. 6.
    `capped`: as `hard`, but at most `cap`.
    `none`: one.

    Args:
        rule: a key of `WEIGHT_RULES`.
        class_weights: (K,) from `class_weights`.
        hard_labels: (N,) int64 in [0, K), the labels trained on, noise included.
        soft_labels: (N, K) distributions, the targets of the loss.
        cap: the largest weight under `capped`, at least 1 (the weight of the largest class).

    Returns:
        (N,) in the dtype of `class_weights`.

    Raises:
        ValueError: an unknown rule, cap < 1, labels out of range, or shapes that do not match.

    Example:
        >>> hard, soft = torch.tensor([0, 1]), torch.tensor([[0.75, 0.25], [0.5, 0.5]])
        >>> weights = torch.tensor([1.0, 20.0])
        >>> {rule: sample_weights(rule, weights, hard, soft).tolist() for rule in WEIGHT_RULES}
        {'hard': [1.0, 20.0], 'soft': [5.75, 10.5], 'capped': [1.0, 5.0], 'none': [1.0, 1.0]}
    """
    if rule not in WEIGHT_RULES:
        raise ValueError(f"rule must be one of {', '.join(WEIGHT_RULES)}, but got {rule!r}")
    if not cap >= 1:
        raise ValueError(f"`cap >= 1` must hold, but got {cap}")
    if class_weights.ndim != 1 or not class_weights.is_floating_point():
        raise ValueError(
            "class_weights must be a floating-point tensor of shape (K,), "
            f"but got {class_weights.dtype} of shape {tuple(class_weights.shape)}"
        )
    check_labels(hard_labels, len(class_weights))
    check_distributions("soft_labels", soft_labels)
    expected = (len(hard_labels), len(class_weights))
    because = f"hard_labels of shape {expected[:1]} and class_weights of shape {expected[1:]}"
    check_shape("soft_labels", soft_labels, expected, because)
    return WEIGHT_RULES[rule](class_weights, hard_labels, soft_labels, cap)


def _hard(weights_K: Tensor, hard_N: Tensor, soft_NK: Tensor, cap: float) -> Tensor:
    return weights_K[hard_N]


def _soft(weights_K: Tensor, hard_N: Tensor, soft_NK: Tensor, cap: float) -> Tensor:
    return soft_NK.to(weights_K.dtype) @ weights_K


def _capped(weights_K: Tensor, hard_N: Tensor, soft_NK: Tensor, cap: float) -> Tensor:
    return weights_K[hard_N].clamp_max(cap)


def _none(weights_K: Tensor, hard_N: Tensor, soft_NK: Tensor, cap: float) -> Tensor:
    return torch.ones_like(weights_K[hard_N])


WEIGHT_RULES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "hard": _hard,
    "soft": _soft,
    "capped": _capped,
    "none": _none,
}
"""Rules of `sample_weights`: (class weights, hard labels, soft labels, cap) -> weights.

Weights and label noise interact. With W up to 91 and 30 % flips, a few samples flipped into a rare class outweigh
everything: on 6,000 FERPlus faces `hard` collapsed onto one rare class for alpha >= 0.5 (macro-F1 0.002), but not at
alpha = 0 (0.22)."""
