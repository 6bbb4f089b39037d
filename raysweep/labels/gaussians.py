"""Gaussian mixed labels: the posterior of one Gaussian a class in the valence-arousal plane.

Dual-domain affect fusion (Neo, Chen and Winkler), section 3.1.1, Eq. 1-2.
Shapes: N samples, K classes; 2 is (valence, arousal).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from raysweep.labels.checks import check_shape, check_va
from raysweep.labels.moments import class_moments, valence_arousal

VARIANCE_FLOOR = 1e-6
"""Least variance of a class in any direction: a standard deviation of 0.001, finer than any
annotation. Covariances above it are not changed. Smaller ones are lost in float32 rounding."""


class ClassGaussians(NamedTuple):
    """pi_k, mu_k and Sigma_k of Eq. 1.

    Shapes: `priors` (K,), summing to 1; `means` (K, 2); `covariances` (K, 2, 2).
    A class without annotated samples has prior 0, mean (0, 0) and the unit covariance: every entry
    is finite and `gaussian_labels` gives it probability 0. Its mean is a placeholder: for Euclidean
    labels use `class_means`, which marks such a class with NaN.
    """

    priors: Tensor
    means: Tensor
    covariances: Tensor


def class_gaussians(va: Tensor, labels: Tensor, num_classes: int, within_std: float | None = 1.0) -> ClassGaussians:
    """Prior, mean and covariance of every class (Eq. 1; section 4.2 for the one-std box).

    Mean and biased (1/N) covariance come from the points with |v - mean_v| < within_std * std_v and
    |a - mean_a| < within_std * std_a (population std, strict), as in the authors' code; the prior is
    N_k / N over all points. On multi-rater data the one-std box makes the posterior overconfident;
    `within_std=None` uses all points and is better calibrated.

    Differs from the paper: it assumes that every sample has VA and every class many samples. Here
    rows with a NaN count nowhere, the prior included (N = annotated rows); a class whose box keeps
    no point falls back to all its points; and when the smallest eigenvalue of a covariance is below
    VARIANCE_FLOOR, the difference is added to its diagonal (one point, or points on a line).

    Args:
        va: (N, 2) float32 or float64, valence and arousal, usually in [-1, 1]; NaN = not annotated.
        labels: (N,) int64 in [0, num_classes).
        num_classes: K.
        within_std: half the side of the box in standard deviations, > 0; None for all points.

    Returns:
        `ClassGaussians` in the dtype of `va`; the sums are taken in float64.

    Raises:
        ValueError: wrong shapes, labels out of range, infinite VA, or no annotated row at all.

    Example:
        >>> va = torch.tensor([[0.5, 0.0], [0.7, 0.2], [0.6, 0.4], [-0.5, 0.1]])
        >>> fitted = class_gaussians(va, torch.tensor([0, 0, 0, 1]), num_classes=3, within_std=None)
        >>> fitted.priors
        tensor([0.7500, 0.2500, 0.0000])
        >>> fitted.means[:2]
        tensor([[ 0.6000,  0.2000],
                [-0.5000,  0.1000]])
    """
    counts_K, means_K2, covariances_K22 = class_moments(va, labels, num_classes, within_std)
    covariances_K22 = _raise_to_floor(covariances_K22)
    unit_22 = torch.eye(2, dtype=torch.float64, device=va.device)
    covariances_K22 = torch.where(counts_K[:, None, None] > 0, covariances_K22, unit_22)
    priors_K = counts_K / counts_K.sum()
    return ClassGaussians(priors_K.to(va.dtype), means_K2.to(va.dtype), covariances_K22.to(va.dtype))


def gaussian_labels(va: Tensor, gaussians: ClassGaussians) -> Tensor:
    """Mixed labels: p(k | x) = pi_k N(x | mu_k, Sigma_k) / sum_j pi_j N(x | mu_j, Sigma_j), Eq. 2.

    Differs from the paper: densities stay logarithms until one softmax (a closed-form Cholesky
    factor whitens x), in float64 whatever the dtype, so a point far from every class still gets a
    finite row that sums to 1, where the authors' code divides 0 by 0.

    Args:
        va: (N, 2) float32 or float64. N may be 0.
        gaussians: K classes, from `class_gaussians` or elsewhere, any float dtype, on the device of
            `va`. A class of prior 0 gets exactly 0.

    Returns:
        (N, K) in the dtype of `va`. A row with a NaN in `va` is all NaN; `fuse_labels` then keeps
        the hard label.

    Raises:
        ValueError: wrong shapes, infinite VA, no positive prior, or a covariance that is not
            positive definite.

    Example:
        >>> unit = torch.eye(2).expand(2, 2, 2)
        >>> means = torch.tensor([[0.5, 0.0], [-0.5, 0.0]])
        >>> two = ClassGaussians(torch.tensor([0.5, 0.5]), means, unit)
        >>> gaussian_labels(torch.tensor([[0.0, 0.3], [1.0, 0.3]]), two)
        tensor([[0.5000, 0.5000],
                [0.7311, 0.2689]])
    """
    check_va(va)
    _check_gaussians(gaussians)
    priors_K, means_K2, covariances_K22 = (part.to(torch.float64) for part in gaussians)
    l11_K, l21_K, l22_K = _cholesky(covariances_K22)
    log_scale_K = priors_K.log() - l11_K.log() - l22_K.log()  # 2 pi cancels

    # Classes first: each line of memory is then one class, twice as fast as (N, K) for small K.
    v_N, a_N = valence_arousal(va)
    # z = L^-1 (x - mu)
    z1_KN = (v_N - means_K2[:, :1]).div_(l11_K[:, None])
    z2_KN = (a_N - means_K2[:, 1:]).addcmul_(z1_KN, l21_K[:, None], value=-1).div_(l22_K[:, None])
    log_joint_KN = z1_KN.square_().add_(z2_KN.square_()).mul_(-0.5).add_(log_scale_K[:, None])
    return torch.softmax(log_joint_KN, 0).to(va.dtype).T.contiguous()


def _raise_to_floor(covariances_K22: Tensor) -> Tensor:
    """Add to the diagonal by how much the smallest eigenvalue is below VARIANCE_FLOOR; usually 0."""
    vv_K, va_K, aa_K = covariances_K22[:, 0, 0], covariances_K22[:, 0, 1], covariances_K22[:, 1, 1]
    smallest_K = (vv_K + aa_K) / 2 - torch.hypot((vv_K - aa_K) / 2, va_K)
    lacking_K = (VARIANCE_FLOOR - smallest_K).clamp_min(0)
    return covariances_K22 + torch.diag_embed(lacking_K[:, None].expand(-1, 2))


def _cholesky(covariances_K22: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """l11, l21, l22 of L = [[l11, 0], [l21, l22]] with L L^T = Sigma; each (K,)."""
    l11_K = covariances_K22[:, 0, 0].sqrt()
    l21_K = covariances_K22[:, 1, 0] / l11_K
    l22_K = (covariances_K22[:, 1, 1] - l21_K.square()).sqrt()
    bad = torch.nonzero(~((l11_K > 0) & (l22_K > 0) & l22_K.isfinite())).flatten()
    if len(bad):
        k = int(bad[0])
        raise ValueError(
            f"covariances must be positive definite, but that of class {k} is {covariances_K22[k].tolist()}"
        )
    return l11_K, l21_K, l22_K


def _check_gaussians(gaussians: ClassGaussians) -> None:
    priors, means, covariances = gaussians
    if priors.ndim != 1 or len(priors) == 0:
        raise ValueError(f"priors must have shape (K,) with K >= 1, but got {tuple(priors.shape)}")
    classes = len(priors)
    because = f"priors of shape {tuple(priors.shape)}"
    check_shape("means", means, (classes, 2), because)
    check_shape("covariances", covariances, (classes, 2, 2), because)
    if not (bool((priors >= 0).all()) and bool(priors.sum() > 0)):
        raise ValueError(f"priors must be >= 0 with a positive sum, but got {priors.tolist()}")
    if not bool(means.isfinite().all()):
        raise ValueError(f"means must be finite, but got {means.tolist()}")
