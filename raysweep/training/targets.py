"""What the trainer is asked to fit: noisy labels, mixed labels, fusion and sample weights."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from raysweep.core.errors import UserError
from raysweep.core.experiment import Experiment, Labels
from raysweep.data.dataset import TRAIN, FaceData
from raysweep.labels import (
    class_gaussians,
    class_means,
    class_weights,
    euclidean_labels,
    flip_labels,
    flip_labels_by_confusion,
    flip_labels_with_replacement,
    fuse_labels,
    gaussian_labels,
    human_confusion,
    perturb_va,
    sample_weights,
)


@dataclass(frozen=True)
class Targets:
    """Training targets, one row an image of the data set; rows outside the training split hold -1, False or NaN.

    `given_N` labels after noise, `true_N` before, `flipped_N` where they were changed by noise,
    `soft_NK` fused labels (Eq. 4), `weights_N`, `va_N2`; `noise_hash` names the flips.
    """

    given_N: Tensor
    true_N: Tensor
    flipped_N: Tensor
    soft_NK: Tensor
    weights_N: Tensor
    va_N2: Tensor
    class_weights_K: Tensor
    noise_hash: str


def prepare_targets(experiment: Experiment, data: FaceData) -> Targets:
    """Noise first, then mixed labels from VA, then fusion, then sample weights (DDAF Algorithm 1, section 5.1).

    Means, Gaussians and class weights come from clean labels (the authors) or the noisy ones,
    by `labels.statistics`.

    Raises:
        UserError: a training class without a single image, or mixed labels asked of data without VA.
    """
    rows, classes = data.rows(TRAIN), data.num_classes
    clean, seed = data.labels[rows], experiment.seeds.noise
    _check_usable(experiment.labels, data, rows)
    given, flipped = _noisy_labels(experiment.labels, data, rows, seed)
    va = data.va[rows]
    if experiment.labels.va_noise:
        va = perturb_va(va, experiment.labels.va_noise, seed, ids=rows)
    believed = clean if experiment.labels.statistics == "clean" else given
    soft = fuse_labels(given, _mixed_labels(experiment.labels, va, believed, classes), experiment.labels.alpha)
    per_class = class_weights(believed, classes)
    objective = experiment.objective
    weights = sample_weights(objective.class_weights, per_class, given, soft, cap=objective.weight_cap)
    return Targets(
        given_N=_spread(data, rows, given, -1),
        true_N=_spread(data, rows, clean, -1),
        flipped_N=_spread(data, rows, flipped, False),
        soft_NK=_spread(data, rows, soft.float(), math.nan),
        weights_N=_spread(data, rows, weights.float(), math.nan),
        va_N2=_spread(data, rows, va, math.nan),
        class_weights_K=per_class,
        noise_hash=hashlib.sha256(given.numpy().tobytes() + flipped.numpy().tobytes()).hexdigest()[:16],
    )


def _noisy_labels(config: Labels, data: FaceData, rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    clean, classes = data.labels[rows], data.num_classes
    if config.noise_kind == "with_replacement":
        return flip_labels_with_replacement(clean, config.noise_rate, classes, seed)
    if config.noise_kind == "confusion":
        if not bool(data.votes[rows].isfinite().any()):
            raise UserError("`labels.noise_kind=confusion` needs rater votes, but the data have none: use symmetric")
        return flip_labels_by_confusion(clean, config.noise_rate, human_confusion(data.votes[rows]), seed, ids=rows)
    return flip_labels(clean, config.noise_rate, classes, seed, ids=rows)


def _mixed_labels(config: Labels, va: Tensor, believed: Tensor, classes: int) -> Tensor:
    """p(y|x) from the dimensional domain, (N, K) float64; NaN rows where fusion is to keep the one-hot label."""
    if config.alpha == 1 or config.method == "one_hot":
        return torch.full((len(va), classes), math.nan, dtype=torch.float64)
    if config.method == "gaussian":
        return gaussian_labels(va.double(), class_gaussians(va.double(), believed, classes, config.within_std))
    if config.method == "euclidean":
        return euclidean_labels(
            va.double(), class_means(va.double(), believed, classes, config.within_std), squared=config.squared
        )
    return torch.full((len(va), classes), 1 / classes, dtype=torch.float64)  # uniform


def _check_usable(config: Labels, data: FaceData, rows: Tensor) -> None:
    counts = torch.bincount(data.labels[rows], minlength=data.num_classes)
    if bool((counts == 0).any()):
        absent = ", ".join(data.classes[i] for i in torch.nonzero(counts == 0).flatten().tolist())
        raise UserError(f"every class needs a training image, but {data.name} has none of: {absent}")
    mixed = config.method in ("euclidean", "gaussian") and config.alpha < 1
    if mixed and not bool(data.va[rows].isfinite().any()):
        raise UserError(
            f"`labels.method={config.method}` needs valence and arousal, but {data.name} has none: "
            "add the columns to a CSV, or use --set labels.method=one_hot or uniform"
        )


def _spread(data: FaceData, rows: Tensor, values: Tensor, empty: float | bool) -> Tensor:
    """Values of the training rows laid out over all rows of the data set."""
    full = torch.full((len(data), *values.shape[1:]), empty, dtype=values.dtype)
    full[rows] = values
    return full
