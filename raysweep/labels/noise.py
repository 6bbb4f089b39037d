"""Synthetic label noise: which labels flip, to what, and noise on valence and arousal.

Dual-domain affect fusion (Neo, Chen and Winkler), section 5.1. Every draw is addressed by (seed,
purpose, sample), so noise is nested: the labels flipped at 10 % are among those at 20 %, to the same new
class. `flip_labels` and `flip_labels_by_confusion` flip the same rows for the same seed.
Shapes: N samples, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, normal, permutation, uniform
from raysweep.labels.checks import check_labels, check_num_classes, check_share, check_va


def flip_labels(
    labels: Tensor, rate: float, num_classes: int, seed: int, ids: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Move exactly round(rate * N) labels, each to one of the K - 1 other classes, uniformly.

    This is what section 5.1 says ("a percentage of the training labels are randomly flipped to
    other classes"). The authors' code does otherwise: see `flip_labels_with_replacement`.

    Args:
        labels: (N,) int64 in [0, num_classes).
        rate: share of labels to flip, in [0, 1]; halves round to even, as Python does.
        num_classes: K >= 2.
        seed: the noise seed.
        ids: (N,) int64, distinct; keys of the samples' draws, by default their rows. Pass the rows of
            the whole data set to give a sample the same draws in every subset.

    Returns:
        noisy (N,) int64 and flipped (N,) bool, which are exactly the rows that changed.

    Raises:
        ValueError: labels or rate out of range, or K < 2.

    Example:
        >>> noisy, flipped = flip_labels(torch.zeros(10, dtype=torch.int64), 0.3, num_classes=8, seed=0)
        >>> int(flipped.sum()), bool((noisy[flipped] != 0).all())
        (3, True)
    """
    _check_flip(labels, rate, num_classes)
    ids_N = _ids(labels, ids)
    flipped_N = _flipped_rows(ids_N, rate, seed)
    step_N = 1 + _integers(derive_key(seed, "flip", "class"), ids_N, num_classes - 1)
    return torch.where(flipped_N, (labels + step_N) % num_classes, labels), flipped_N


def flip_labels_with_replacement(labels: Tensor, rate: float, num_classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """The authors' draw: round(rate * N) rows with replacement, each to any of all K classes.

    Some rows are drawn twice and some labels are redrawn unchanged, so nominal 10, 20 and 30 % change
    only about 8.3, 15.9 and 22.7 % for K = 8: (1 - exp(-rate)) * (K - 1) / K.

    Differs from the authors' code: where a row is drawn twice the first draw counts, not the last.
    The distribution is the same, and noise is nested across rates.

    Args:
        labels: (N,) int64 in [0, num_classes).
        rate: nominal share, in [0, 1].
        num_classes: K >= 2.
        seed: the noise seed.

    Returns:
        noisy (N,) int64 and flipped (N,) bool, the rows whose label changed.

    Raises:
        ValueError: labels or rate out of range, or K < 2.
    """
    _check_flip(labels, rate, num_classes)
    draws = torch.arange(_share(rate, len(labels)), device=labels.device)
    rows = _integers(derive_key(seed, "flip with replacement", "row"), draws, len(labels))
    classes = _integers(derive_key(seed, "flip with replacement", "class"), draws, num_classes)
    never = len(draws)
    first_N = torch.full_like(labels, never).scatter_reduce_(0, rows, draws, "amin")
    new_N = torch.cat((classes, classes.new_zeros(1)))[first_N]
    noisy_N = torch.where(first_N < never, new_N, labels)
    return noisy_N, noisy_N != labels


def flip_labels_by_confusion(
    labels: Tensor, rate: float, confusion: Tensor, seed: int, ids: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Move exactly round(rate * N) labels, by the confusion of human raters.

    A flipped label of class k becomes j != k with probability confusion[k, j] / sum_{i != k}
    confusion[k, i]; the diagonal is not used. A row without mass off its diagonal is uniform over
    the other classes. `human_confusion` estimates the matrix from votes. Not in the papers.

    Args:
        labels: (N,) int64 in [0, K).
        rate: share of labels to flip, in [0, 1].
        confusion: (K, K), finite and >= 0: counts or probabilities, rows are the given class. K >= 2.
        seed: the noise seed.
        ids: (N,) int64, distinct; keys of the samples' draws, by default their rows. Pass the rows of
            the whole data set to give a sample the same draws in every subset.

    Returns:
        noisy (N,) int64 and flipped (N,) bool, which are exactly the rows that changed.

    Raises:
        ValueError: labels or rate out of range, or a matrix that is not square, finite and >= 0.

    Example:
        >>> confusion = torch.tensor([[0.9, 0.0, 0.1], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> flip_labels_by_confusion(labels, 1.0, confusion, seed=0)[0]
        tensor([2, 2, 0, 0])
    """
    cumulative_KK = _cumulative_off_diagonal(confusion)
    _check_flip(labels, rate, len(confusion))
    ids_N = _ids(labels, ids)
    flipped_N = _flipped_rows(ids_N, rate, seed)
    u_N = uniform(derive_key(seed, "flip", "confused class"), ids_N)
    # Inverse of the cumulative sum: `<=` steps over classes without mass, the given one among them.
    passed_NK = cumulative_KK.to(labels.device)[labels] <= u_N[:, None]
    new_N = passed_NK.sum(1)
    return torch.where(flipped_N, new_N, labels), flipped_N


NOISE_KINDS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "uniform": flip_labels,
    "with_replacement": flip_labels_with_replacement,
    "confusion": flip_labels_by_confusion,
}
"""Kinds of label noise: (labels, rate, K or a (K, K) confusion, seed) -> (noisy, flipped)."""


def human_confusion(votes: Tensor) -> Tensor:
    """Confusion of human raters: row i is the mean vote distribution of images whose top class is i.

    An image with m top classes counts 1/m in each. Images without votes (all zero or NaN) are left
    out. A class that is top of no image gets a one on its diagonal, which `flip_labels_by_confusion`
    reads as uniform.

    Args:
        votes: (N, K) float32 or float64, >= 0: counts or distributions.

    Returns:
        (K, K) in the dtype of `votes`, rows summing to 1.

    Raises:
        ValueError: another shape or dtype, or a negative or infinite vote.

    Example:
        >>> human_confusion(torch.tensor([[8.0, 2.0, 0.0], [6.0, 0.0, 4.0], [0.0, 5.0, 0.0]]))
        tensor([[0.7000, 0.1000, 0.2000],
                [0.0000, 1.0000, 0.0000],
                [0.0000, 0.0000, 1.0000]])
    """
    if votes.ndim != 2 or votes.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"votes must be float32 or float64 of shape (N, K), but got {votes.dtype} {tuple(votes.shape)}"
        )
    check_num_classes(votes.shape[1])
    voted_MK = votes[~votes.isnan().any(1)].to(torch.float64)
    if bool(((voted_MK < 0) | voted_MK.isinf()).any()):
        raise ValueError(f"votes must be finite and >= 0, but they span {_span(voted_MK)}")
    voted_MK = voted_MK[voted_MK.sum(1) > 0]
    share_MK = voted_MK / voted_MK.sum(1, keepdim=True)
    top_MK = (voted_MK == voted_MK.amax(1, keepdim=True)).to(torch.float64)
    top_MK = top_MK / top_MK.sum(1, keepdim=True)
    weight_K1 = top_MK.sum(0)[:, None]
    diagonal_KK = torch.eye(votes.shape[1], dtype=torch.float64, device=votes.device)
    mean_KK = torch.where(weight_K1 > 0, (top_MK.T @ share_MK) / weight_K1, diagonal_KK)
    return mean_KK.to(votes.dtype)


def perturb_va(va: Tensor, std: float, seed: int, ids: Tensor | None = None) -> Tensor:
    """va + std * z, z standard normal, clipped to [-1, 1]; a NaN stays NaN. Not in the papers.

    z depends on (seed, id, axis) only: a larger std moves every value further in the same direction.

    Args:
        va: (N, 2) float32 or float64. Values already outside [-1, 1] are clipped too, so a marker
            such as -2 must be replaced by NaN first.
        std: standard deviation of the noise in units of VA, >= 0.
        seed: the noise seed.
        ids: (N,) int64, distinct; keys of the samples' draws, by default their rows. Pass the rows of
            the whole data set to give a sample the same draws in every subset.

    Returns:
        (N, 2) in the dtype of `va`.

    Raises:
        ValueError: wrong shape or dtype, infinite VA, or a negative std.

    Example:
        >>> perturb_va(torch.tensor([[0.5, -1.0], [torch.nan, 0.0]]), std=0.0, seed=3)
        tensor([[ 0.5000, -1.0000],
                [    nan,  0.0000]])
    """
    check_va(va)
    if not (math.isfinite(std) and std >= 0):
        raise ValueError(f"`0 <= std < inf` must hold, but got {std}")
    ids_N = _ids(va, ids)
    noise = [normal(derive_key(seed, "va noise", axis), ids_N) for axis in ("valence", "arousal")]
    return (va.to(torch.float64) + std * torch.stack(noise, 1)).clamp(-1.0, 1.0).to(va.dtype)


def _check_flip(labels: Tensor, rate: float, num_classes: int) -> None:
    check_num_classes(num_classes, at_least=2)
    check_labels(labels, num_classes)
    check_share("rate", rate)


def _share(rate: float, count: int) -> int:
    return round(rate * count)


def _ids(samples: Tensor, ids: Tensor | None) -> Tensor:
    if ids is None:
        return torch.arange(len(samples), device=samples.device)
    if ids.shape != (len(samples),):
        raise ValueError(f"ids must have shape ({len(samples)},), one a sample, but got {tuple(ids.shape)}")
    return ids


def _flipped_rows(ids_N: Tensor, rate: float, seed: int) -> Tensor:
    """(N,) bool with exactly the share `rate` set: the first rows of one fixed order, hence nested."""
    order_N = permutation(derive_key(seed, "flip", "row"), ids_N)
    flipped_N = torch.zeros(len(ids_N), dtype=torch.bool, device=ids_N.device)
    flipped_N[order_N[: _share(rate, len(ids_N))]] = True
    return flipped_N


def _integers(key: int, ids: Tensor, bound: int) -> Tensor:
    """Uniform int64 in [0, bound); the clamp is for a product that rounds to `bound`."""
    return (uniform(key, ids) * bound).to(torch.int64).clamp_max(bound - 1)


def _cumulative_off_diagonal(confusion: Tensor) -> Tensor:
    """(K, K) float64 on the CPU, each row rising to exactly 1, flat at its own class."""
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1] or len(confusion) < 2:
        raise ValueError(f"confusion must have shape (K, K) with K >= 2, but got {tuple(confusion.shape)}")
    mass_KK = confusion.to("cpu", torch.float64)  # cumsum on a GPU is not deterministic
    if not bool((mass_KK.isfinite() & (mass_KK >= 0)).all()):
        raise ValueError(f"confusion must be finite and >= 0, but its entries span {_span(mass_KK)}")
    others_KK = 1 - torch.eye(len(confusion), dtype=torch.float64)
    mass_KK = mass_KK * others_KK
    mass_KK = torch.where(mass_KK.sum(1, keepdim=True) > 0, mass_KK, others_KK)
    cumulative_KK = mass_KK.cumsum(1)
    return cumulative_KK / cumulative_KK[:, -1:]


def _span(values: Tensor) -> str:
    return f"[{values.min().item()}, {values.max().item()}]" if values.numel() else "[]"
