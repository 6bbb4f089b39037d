"""Continuous label mapping: move the VA of one data set to the mean and covariance of another.

DCJT (discrete-continuous joint training), section 3.3, Equation 1, Algorithms 1 and 2. There A is the
data set to be learnt, whose VA is estimated, and B the extra one: B is the source of a map, A its target.

    va of A -> gaussian_stats  \\                              class_stats \\
                                map_va (global, GCLM)    and               map_va_by_class (EDCLM)
    va of B -> gaussian_stats  /                              class_stats /

Shapes: N samples, K classes; 2 is (valence, arousal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raysweep.labels.checks import check_labels, check_same_length, check_shape, check_va
from raysweep.labels.moments import class_moments

RIDGE = 1e-6
"""Added to the diagonal of a covariance whose smallest eigenvalue is below it: a standard deviation of
0.001, finer than any annotation. Covariances above it are not changed."""

MIN_CLASS_SAMPLES = 10
"""Fewest annotated points from which a class gets statistics of its own. A standard deviation estimated
from 10 points is off by about a quarter (1 / sqrt(2 * 9)), from 3 points by a half."""


@dataclass(frozen=True, eq=False)  # == of two tensors has no single truth value
class GaussianStats:
    """Mean, covariance and number of the points they come from; float64, shapes (2,) and (2, 2).

    The covariance is kept as measured: the ridge is added where it is factored, in `map_va`.
    """

    mean_2: Tensor
    covariance_22: Tensor
    count: int

    def __post_init__(self) -> None:
        for name, tensor, shape in (("mean_2", self.mean_2, (2,)), ("covariance_22", self.covariance_22, (2, 2))):
            check_shape(name, tensor, shape, "the (valence, arousal) plane")
            if tensor.dtype != torch.float64:
                raise ValueError(f"{name} must be float64, but got {tensor.dtype}")
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"{name} must be finite, but got {tensor.tolist()}")

    @property
    def is_singular(self) -> bool:
        """Whether RIDGE is added: the points (almost) coincide or lie on a line."""
        return bool(torch.linalg.eigvalsh(self.covariance_22)[0] < RIDGE)


def gaussian_stats(va_N2: Tensor, ddof: int = 1) -> GaussianStats:
    """Mean and covariance of all points, lines 1 and 2 of Algorithm 1.

    The paper does not say what divides the covariance; the authors' helpers take N - 1.

    Differs from the paper: a row with a NaN is left out.

    Args:
        va_N2: (N, 2) float32 or float64, valence and arousal; NaN = not annotated.
        ddof: the covariance is divided by N - ddof; >= 0.

    Returns:
        `GaussianStats` on the device of `va_N2`.

    Raises:
        ValueError: wrong shape, infinite VA, or fewer than ddof + 1 annotated rows.

    Example:
        >>> stats = gaussian_stats(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [torch.nan, 0.0]]))
        >>> stats.mean_2, stats.count, stats.is_singular
        (tensor([0.5000, 0.5000], dtype=torch.float64), 4, False)
        >>> stats.covariance_22
        tensor([[0.3333, 0.0000],
                [0.0000, 0.3333]], dtype=torch.float64)
    """
    check_va(va_N2)
    _check_ddof(ddof)
    known = int((~va_N2.isnan().any(1)).sum())
    if known < ddof + 1:
        raise ValueError(
            f"a covariance with ddof={ddof} needs at least {ddof + 1} annotated rows of va, "
            f"but got {known} of {len(va_N2)}"
        )
    labels_N = torch.zeros(len(va_N2), dtype=torch.int64, device=va_N2.device)
    (stats,) = class_stats(va_N2, labels_N, num_classes=1, ddof=ddof, least=ddof + 1)
    assert stats is not None
    return stats


def class_stats(
    va_N2: Tensor, labels_N: Tensor, num_classes: int, ddof: int = 1, least: int = MIN_CLASS_SAMPLES
) -> tuple[GaussianStats | None, ...]:
    """Mean and covariance of every class, lines 2 and 3 of Algorithm 2.

    Differs from the paper: it assumes many samples of every class. Here a class with fewer than
    `least` annotated ones has no statistics, and rows with a NaN are left out.

    Args:
        va_N2: (N, 2) float32 or float64; NaN = not annotated.
        labels_N: (N,) int64 in [0, num_classes).
        num_classes: K.
        ddof: as in `gaussian_stats`.
        least: fewest annotated samples, > ddof.

    Returns:
        K entries, None for a class with too few samples.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, no annotated row at all, or `least`
            not above `ddof`.

    Example:
        >>> va = torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.1, 0.3], [0.5, 0.5]])
        >>> [stats and stats.count for stats in class_stats(va, torch.tensor([0, 0, 0, 1]), 2, least=3)]
        [3, None]
    """
    _check_ddof(ddof)
    if least <= ddof:
        raise ValueError(f"`least > ddof` must hold, but got least={least} and ddof={ddof}")
    counts_K, means_K2, covariances_K22 = class_moments(va_N2, labels_N, num_classes, within_std=None)
    counts = [int(count) for count in counts_K.tolist()]
    return tuple(
        GaussianStats(means_K2[k].clone(), covariances_K22[k] * (count / (count - ddof)), count)
        if count >= least
        else None
        for k, count in enumerate(counts)
    )


def map_va(va_N2: Tensor, source_stats: GaussianStats, target_stats: GaussianStats, clip: bool = False) -> Tensor:
    """Global continuous label mapping (GCLM): P Q^-1 (t - mu_B) + mu_A, DCJT, Equation 1, Algorithm 1.

    P and Q are the lower Cholesky factors of Sigma_A (target) and Sigma_B (source). Applied to the
    points that gave `source_stats`, the result has exactly the target's mean and covariance.
    The map is computed row by row: a row does not depend on the rest of the batch, to the last bit.

    Differs from the paper: when the smallest eigenvalue of a covariance is below RIDGE, RIDGE is added
    to its diagonal (see `GaussianStats.is_singular`), so coinciding or collinear points map to finite
    values. A point off that line, which did not give the statistics, can land far outside [-1, 1].

    Args:
        va_N2: (N, 2) float32 or float64; N may be 0. Algorithm 1 passes B without the selected subset.
        source_stats: of all of B, on the device of `va_N2`.
        target_stats: of A.
        clip: whether to clamp the result to [-1, 1], which no longer keeps mean and covariance. The
            paper does not say; a linear map leaves that square.

    Returns:
        (N, 2) in the dtype of `va_N2`. A row with a NaN is all NaN.

    Raises:
        ValueError: wrong shape, infinite VA, or a covariance with a negative eigenvalue.

    Example:
        >>> unit = torch.eye(2, dtype=torch.float64)
        >>> source = GaussianStats(torch.zeros(2, dtype=torch.float64), unit, count=100)
        >>> target = GaussianStats(torch.tensor([0.5, 0.0], dtype=torch.float64), unit / 4, count=100)
        >>> map_va(torch.tensor([[0.0, 0.0], [1.0, -0.5]]), source, target)
        tensor([[ 0.5000,  0.0000],
                [ 1.0000, -0.2500]])
    """
    check_va(va_N2)
    target_factor_22, source_factor_22 = _cholesky(target_stats), _cholesky(source_stats)
    transform_22: Tensor = torch.linalg.solve_triangular(source_factor_22, target_factor_22, upper=False, left=False)
    centred_N2 = va_N2.to(torch.float64) - source_stats.mean_2
    # No matrix product: its rounding of a row may depend on N, and 0 * NaN need not be NaN.
    mapped_N2 = (transform_22 * centred_N2[:, None, :]).sum(2) + target_stats.mean_2
    return (mapped_N2.clamp(-1, 1) if clip else mapped_N2).to(va_N2.dtype)


def map_va_by_class(
    va_N2: Tensor,
    labels_N: Tensor,
    source_classes: Sequence[GaussianStats | None],
    target_classes: Sequence[GaussianStats | None],
    source: GaussianStats,
    target: GaussianStats,
    clip: bool = False,
) -> tuple[Tensor, tuple[int, ...]]:
    """Emotion dependent continuous label mapping (EDCLM), DCJT, Algorithm 2: `map_va` class by class.

    Differs from the paper: a class without statistics on either side takes the global map.

    Args:
        va_N2: (N, 2) float32 or float64; N may be 0.
        labels_N: (N,) int64 in [0, K): B's own labels, before any relabelling.
        source_classes, target_classes: `class_stats` of all of B and of A, K entries each.
        source, target: `gaussian_stats` of all of B and of A, for the global map.
        clip: as in `map_va`.

    Returns:
        VA as from `map_va`, and the classes of `labels_N` that took the global map, ascending.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, or two different K.

    Example:
        >>> def at(v, a):
        ...     return GaussianStats(torch.tensor([v, a], dtype=torch.float64), torch.eye(2, dtype=torch.float64), 100)
        >>> va, labels = torch.tensor([[0.5, 0.5], [0.5, 0.5]]), torch.tensor([0, 1])
        >>> map_va_by_class(va, labels, [at(0, 0), at(0, 0)], [at(0.25, 0), None], at(0, 0), at(-0.5, 0))
        (tensor([[0.7500, 0.5000],
                [0.0000, 0.5000]]), (1,))
    """
    check_va(va_N2)
    check_labels(labels_N, _class_count(source_classes, target_classes))
    check_same_length(va_N2, labels_N)
    mapped_N2, fallback = torch.empty_like(va_N2), []
    for k in labels_N.unique().tolist():
        source_k, target_k = source_classes[k], target_classes[k]
        if source_k is None or target_k is None:
            source_k, target_k = source, target
            fallback.append(k)
        mapped_N2[labels_N == k] = map_va(va_N2[labels_N == k], source_k, target_k, clip)
    return mapped_N2, tuple(fallback)


def _class_count(source_classes: Sequence[GaussianStats | None], target_classes: Sequence[GaussianStats | None]) -> int:
    if len(source_classes) != len(target_classes):
        raise ValueError(
            "source_classes and target_classes must have one entry per class each, "
            f"but got {len(source_classes)} and {len(target_classes)}"
        )
    return len(source_classes)


def _cholesky(stats: GaussianStats) -> Tensor:
    """The lower factor (2, 2), of the covariance with its ridge if it needs one."""
    covariance_22 = stats.covariance_22
    if stats.is_singular:
        covariance_22 = covariance_22 + RIDGE * torch.eye(2, dtype=torch.float64, device=covariance_22.device)
    factor_22: Tensor
    factor_22, info = torch.linalg.cholesky_ex(covariance_22)
    if int(info):
        raise ValueError(f"a covariance must have no negative eigenvalue, but got {stats.covariance_22.tolist()}")
    return factor_22


def _check_ddof(ddof: int) -> None:
    if ddof < 0:
        raise ValueError(f"`ddof >= 0` must hold, but got {ddof}")
