"""Training targets: noisy labels, mixed labels, fusion and sample weights."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from raysweep.config.experiment import Experiment
from raysweep.config.sections import Labels, Objective
from raysweep.core.errors import UserError
from raysweep.data.borrowed import BorrowedGaussians
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.labels.fusion import fuse_labels
from raysweep.labels.gaussians import ClassGaussians
from raysweep.labels.noise import (
    flip_labels,
    flip_labels_by_confusion,
    flip_labels_with_replacement,
    human_confusion,
    perturb_va,
)
from raysweep.labels.registry import GAUSSIAN, SOFT_LABELS, LabelledImages, gaussians_of, labels_without_needs
from raysweep.labels.weights import class_weights, sample_weights


@dataclass(frozen=True)
class Given:
    """Annotations of a data set's training images before fusion; one row an image of the data set.

    `labels_N` after noise (or relabelling), -1 outside the training split; `true_N` before noise;
    `flipped_N` where noise changed them; `va_N2` NaN where unknown; `votes_NK` before noise, NaN where nobody voted.
    `va_only_N`: training images with valence and arousal but no label.
    `gaussians`: class Gaussians of another data set that the classes were derived from, for the set's original VA.
    """

    labels_N: Tensor
    true_N: Tensor
    flipped_N: Tensor
    va_N2: Tensor
    votes_NK: Tensor
    va_only_N: Tensor
    gaussians: BorrowedGaussians | None = None

    @property
    def rows(self) -> Tensor:
        """Images with a label, ascending. Shape (M,)."""
        return torch.nonzero(self.labels_N >= 0).flatten()

    @property
    def knows_va(self) -> bool:
        return bool(self.va_N2[self.rows].isfinite().any())

    def only(self, rows: Tensor) -> Given:
        """The same without labels of images other than `rows`."""
        kept = torch.zeros(len(self.labels_N), dtype=torch.bool)
        kept[rows] = True
        return replace(self, labels_N=torch.where(kept, self.labels_N, -1), flipped_N=self.flipped_N & kept,
                       va_only_N=self.va_only_N & kept)  # fmt: skip


@dataclass(frozen=True)
class Targets:
    """Training targets, one row an image of the data set; rows that are not trained on hold -1, False or NaN.

    `given_N` labels after noise, `true_N` before, `flipped_N` where noise changed them, `mixed_NK` p(y|x) (NaN: the
    given label is kept), `soft_NK` fused labels (Eq. 4), `weights_N`, `va_N2`; `gaussians`: of the classes, where
    p(y|x) is their posterior; `noise_hash` identifies the flips. An image with valence and arousal alone is trained on,
    too: `given_N` is -1, `soft_NK` a row of zeros, its weight 1, as in the largest class.
    """

    given_N: Tensor
    true_N: Tensor
    flipped_N: Tensor
    soft_NK: Tensor
    weights_N: Tensor
    va_N2: Tensor
    class_weights_K: Tensor
    noise_hash: str
    mixed_NK: Tensor
    gaussians: ClassGaussians | None = None


@dataclass(frozen=True)
class TrainingPart:
    """One data set's share of a training run: its images, and targets for those trained on."""

    data: FaceData
    targets: Targets

    @property
    def rows(self) -> Tensor:
        """Images trained on, ascending. Shape (M,)."""
        return torch.nonzero(self.targets.weights_N.isfinite()).flatten()


def prepare_targets(experiment: Experiment, data: FaceData) -> Targets:
    """Noise first, then mixed labels from VA, then fusion, then sample weights (DDAF Algorithm 1, section 5.1).

    Means, Gaussians and class weights come from clean labels (the authors) or the noisy ones,
    by `labels.statistics`.

    Raises:
        UserError: a class without training images, or mixed labels of data without VA.
    """
    check_every_class(data)
    given = given_labels(experiment.labels, data, experiment.seeds.noise)
    return build_targets(experiment.labels, experiment.objective, data.classes, given, data.name)


def given_labels(config: Labels, data: FaceData, seed: int) -> Given:
    """Labels and affect of the training split, after label noise and VA noise.

    Raises:
        UserError: noise by human confusion, of data without votes.
    """
    rows, every = data.rows(TRAIN), data.rows(TRAIN, va_only=True)
    clean = data.labels[rows]
    noisy, flipped = _noisy_labels(config, data, rows, seed)
    va = data.va[every]
    if config.va_noise:
        va = perturb_va(va, config.va_noise, seed, ids=every)
    count = len(data)
    return Given(
        _spread(count, rows, noisy, -1),
        _spread(count, rows, clean, -1),
        _spread(count, rows, flipped, False),
        _spread(count, every, va, math.nan),
        _spread(count, rows, data.votes[rows], math.nan),
        data.va_only & (data.splits == TRAIN) & data.va.isfinite().all(1),
        data.gaussians,
    )


def build_targets(labels: Labels, objective: Objective, classes: tuple[str, ...], given: Given, name: str) -> Targets:
    """Targets of the images that have a label in `given`, and of those with valence and arousal alone.

    Raises:
        UserError: `labels.method` needs VA or votes that no image has.
    """
    rows, count = given.rows, len(given.labels_N)
    _check_known(labels, given, name)
    noisy, clean = given.labels_N[rows], given.true_N[rows]
    counted = clean if labels.statistics == "clean" else noisy
    images = _labelled(labels, given, counted, len(classes))
    mixed = _mixed_labels(labels, images)
    soft = fuse_labels(noisy, mixed, labels.alpha)
    per_class = class_weights(counted, len(classes))
    weights = sample_weights(objective.class_weights, per_class, noisy, soft, cap=objective.weight_cap)
    flipped = given.flipped_N[rows]
    soft_NK, weights_N = (_spread(count, rows, values.float(), math.nan) for values in (soft, weights))
    soft_NK[given.va_only_N], weights_N[given.va_only_N] = 0.0, 1.0
    return Targets(
        given_N=given.labels_N,
        true_N=torch.where(given.labels_N >= 0, given.true_N, -1),
        flipped_N=given.flipped_N,
        soft_NK=soft_NK,
        weights_N=weights_N,
        va_N2=torch.where((given.labels_N >= 0)[:, None] | given.va_only_N[:, None], given.va_N2, math.nan),
        class_weights_K=per_class,
        noise_hash=hashlib.sha256(noisy.numpy().tobytes() + flipped.numpy().tobytes()).hexdigest()[:16],
        mixed_NK=_spread(count, rows, mixed.float(), math.nan),
        gaussians=gaussians_of(images, labels.within_std) if labels.fused_method == GAUSSIAN else None,
    )


def check_every_class(data: FaceData) -> None:
    """Raises UserError unless every class has a training image."""
    counts = class_counts(data)
    absent = [k for k, (train, _, _) in enumerate(counts) if not train]
    if absent:
        text = ", ".join(f"{data.classes[k]} ({counts[k][1]} validation, {counts[k][2]} test images)" for k in absent)
        raise UserError(f"every class needs a training image, but {data.name} has none of: {text}")


def class_counts(data: FaceData) -> list[tuple[int, int, int]]:
    """Training, validation and test images of every class."""
    splits = [torch.bincount(data.labels[data.rows(split)], minlength=data.num_classes).tolist()
              for split in (TRAIN, VALIDATION, TEST)]  # fmt: skip
    return list(zip(*splits, strict=True))


def _noisy_labels(config: Labels, data: FaceData, rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    clean, classes = data.labels[rows], data.num_classes
    if config.noise_kind == "with_replacement":
        return flip_labels_with_replacement(clean, config.noise_rate, classes, seed)
    if config.noise_kind == "confusion":
        if not bool(data.votes[rows].isfinite().any()):
            raise UserError("`labels.noise_kind=confusion` needs rater votes, but the data have none: use symmetric")
        return flip_labels_by_confusion(clean, config.noise_rate, human_confusion(data.votes[rows]), seed, ids=rows)
    return flip_labels(clean, config.noise_rate, classes, seed, ids=rows)


def _labelled(config: Labels, given: Given, counted: Tensor, classes: int) -> LabelledImages:
    """The images with a label, class statistics to be those of labels `counted` (M,)."""
    rows = given.rows
    return LabelledImages(
        given.labels_N[rows],
        given.true_N[rows],
        counted,
        given.va_N2[rows].double(),
        given.votes_NK[rows].double(),
        classes,
        given.gaussians.within(config.within_std) if given.gaussians is not None else None,
    )


def _mixed_labels(config: Labels, images: LabelledImages) -> Tensor:
    """p(y|x), (M, K) float64; a row of NaN keeps the given label."""
    soft = SOFT_LABELS[config.fused_method]
    return soft.make(images, **{name: getattr(config, name) for name in soft.options})


def _check_known(config: Labels, given: Given, name: str) -> None:
    needs = SOFT_LABELS[config.fused_method].needs
    if needs == "votes" and not bool(given.votes_NK[given.rows].isfinite().any()):
        raise UserError(
            f"`labels.method={config.method}` needs rater votes, but {name} has none: "
            f"use --set labels.method={labels_without_needs()}"
        )
    if needs == "va" and not given.knows_va:
        raise UserError(
            f"`labels.method={config.method}` needs valence and arousal, but {name} has none: "
            f"add the columns to a CSV, or use --set labels.method={labels_without_needs()}"
        )


def _spread(count: int, rows: Tensor, values: Tensor, empty: float | bool) -> Tensor:
    """(count, ...) with `values` at `rows` and `empty` elsewhere."""
    full = torch.full((count, *values.shape[1:]), empty, dtype=values.dtype)
    full[rows] = values
    return full
