"""Soft labels, with which the given label is fused (DDAF Eq. 4), by their name in `labels.method`.

To add one, write its function and its entry in `SOFT_LABELS` (docs/extending.md): configuration, keys, checks of data
and captions read the entry. Functions import torch themselves, so that names can be checked before slow imports.
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

GAUSSIAN = "gaussian"
"""The posterior of class Gaussians."""

Needs = Literal["", "va", "votes"]
"""What an image must have besides its label: nothing, valence and arousal, or rater votes."""


@dataclass(frozen=True)
class LabelledImages:
    """Annotations of M training images of K = `num_classes` classes.

    `given_M` int64: labels after noise, `true_M` before; `statistics_labels_M`: the ones of these that class statistics
    use (`labels.statistics`); `va_M2` float64, NaN where unknown; `votes_MK` float64, NaN where nobody voted;
    `gaussians`: class Gaussians of another data set that the classes were derived from, else None.
    """

    given_M: Tensor
    true_M: Tensor
    statistics_labels_M: Tensor
    va_M2: Tensor
    votes_MK: Tensor
    num_classes: int
    gaussians: ClassGaussians | None = None


@dataclass(frozen=True)
class SoftLabel:
    """A soft label p(y|x).

    Args:
        needs: what an image must have.
        make: images to p (M, K) float64; a row of NaN keeps the given label. Takes the `options` by name.
        options: fields of `labels` that it reads; they are in the keys of no other soft label.
        statistics: class statistics that it computes, for captions; "" for none.
    """

    name: str
    needs: Needs
    make: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    statistics: str = ""


def given_label(images: LabelledImages) -> Tensor:
    """NaN, which keeps the given label."""
    import torch

    return torch.full((len(images.given_M), images.num_classes), math.nan, dtype=torch.float64)


def uniform(images: LabelledImages) -> Tensor:
    """1/K each: label smoothing."""
    import torch

    return torch.full((len(images.given_M), images.num_classes), 1 / images.num_classes, dtype=torch.float64)


def euclidean(images: LabelledImages, within_std: float | None, squared: bool) -> Tensor:
    """By distance to the class means (Eq. 3)."""
    from .euclidean import class_means, euclidean_labels

    means = class_means(images.va_M2, images.statistics_labels_M, images.num_classes, within_std)
    return euclidean_labels(images.va_M2, means, squared=squared)


def gaussian(images: LabelledImages, within_std: float | None) -> Tensor:
    """Posterior of class Gaussians (Eq. 2)."""
    from .gaussians import gaussian_labels

    return gaussian_labels(images.va_M2, gaussians_of(images, within_std))


def gaussians_of(images: LabelledImages, within_std: float | None) -> ClassGaussians:
    """Those that `images` bring along, else fitted to them (Eq. 1)."""
    from .gaussians import class_gaussians

    if images.gaussians is not None:
        return images.gaussians
    return class_gaussians(images.va_M2, images.statistics_labels_M, images.num_classes, within_std)


def votes(images: LabelledImages) -> Tensor:
    """The raters' votes, with two classes swapped where noise changed the label (`vote_labels`)."""
    from .votes import vote_labels

    return vote_labels(images.votes_MK, images.true_M, images.given_M)


SOFT_LABELS = {
    soft.name: soft
    for soft in (
        SoftLabel(ONE_HOT, "", given_label),
        SoftLabel("uniform", "", uniform),
        SoftLabel("euclidean", "va", euclidean, ("within_std", "squared"), "class means"),
        SoftLabel(GAUSSIAN, "va", gaussian, ("within_std",), "Gaussians"),
        SoftLabel("votes", "votes", votes),
    )
}
"""By name."""


def labels_without_needs() -> str:
    """Names of the soft labels that work on every data set, for error messages.

    >>> labels_without_needs()
    'one_hot or uniform'
    """
    return " or ".join(name for name, soft in SOFT_LABELS.items() if not soft.needs)
