"""Soft labels: what the given label is fused with (DDAF Eq. 4), by the name that `labels.method` has.

To add one, write its function and its entry in `SOFT_LABELS` (docs/extending.md): configuration, keys, checks of data
and captions read the entry. torch is imported where it is used: names are needed before anything slow is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from .gaussians import ClassGaussians

ONE_HOT = "one_hot"
"""The given label alone."""

Needs = Literal["", "va", "votes"]
"""What images must have besides a label: nothing, valence and arousal, or rater votes."""


@dataclass(frozen=True)
class LabelledImages:
    """What is known of M training images of K = `num_classes` classes.

    `given_M` int64: labels after noise, `true_M` before; `believed_M`: those that statistics are computed of
    (`labels.statistics`); `va_M2` float64, NaN where unknown; `votes_MK` float64, NaN where nobody voted; `gaussians`:
    another data set's, that classes were taken from, else None.
    """

    given_M: Tensor
    true_M: Tensor
    believed_M: Tensor
    va_M2: Tensor
    votes_MK: Tensor
    num_classes: int
    gaussians: ClassGaussians | None = None


@dataclass(frozen=True)
class SoftLabel:
    """A soft label p(y|x).

    Args:
        needs: what images must have.
        make: p (M, K) float64 of images, NaN rows where fusion is to keep the given label. Takes the `options` by name.
        options: fields of `labels` that it reads; they are in the keys of no other soft label.
        statistics: what it computes over the images of every class, for captions; "" for none.
    """

    name: str
    needs: Needs
    make: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    statistics: str = ""


def nothing(images: LabelledImages) -> Tensor:
    """NaN: the given label is kept."""
    import torch

    return torch.full((len(images.given_M), images.num_classes), math.nan, dtype=torch.float64)


def uniform(images: LabelledImages) -> Tensor:
    """1/K each: label smoothing."""
    import torch

    return torch.full((len(images.given_M), images.num_classes), 1 / images.num_classes, dtype=torch.float64)


def euclidean(images: LabelledImages, within_std: float | None, squared: bool) -> Tensor:
    """By distance to the class means (Eq. 3)."""
    from .euclidean import class_means, euclidean_labels

    means = class_means(images.va_M2, images.believed_M, images.num_classes, within_std)
    return euclidean_labels(images.va_M2, means, squared=squared)


def gaussian(images: LabelledImages, within_std: float | None) -> Tensor:
    """Posterior of class Gaussians (Eq. 2): those that classes were taken from, else fitted to the images (Eq. 1)."""
    from .gaussians import class_gaussians, gaussian_labels

    fitted = images.gaussians
    if fitted is None:
        fitted = class_gaussians(images.va_M2, images.believed_M, images.num_classes, within_std)
    return gaussian_labels(images.va_M2, fitted)


def votes(images: LabelledImages) -> Tensor:
    """The raters' votes, turned with the label where noise changed it."""
    from .votes import vote_labels

    return vote_labels(images.votes_MK, images.true_M, images.given_M)


SOFT_LABELS = {
    soft.name: soft
    for soft in (
        SoftLabel(ONE_HOT, "", nothing),
        SoftLabel("uniform", "", uniform),
        SoftLabel("euclidean", "va", euclidean, ("within_std", "squared"), "class means"),
        SoftLabel("gaussian", "va", gaussian, ("within_std",), "Gaussians"),
        SoftLabel("votes", "votes", votes),
    )
}
"""By name."""


def undemanding() -> str:
    """Those that every data set has, for advice.

    >>> undemanding()
    'one_hot or uniform'
    """
    return " or ".join(name for name, soft in SOFT_LABELS.items() if not soft.needs)
