"""Small faces of training images with the labels that a cell gave them, to draw without the data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.data.dataset import FaceData
from raysweep.training import Given, TrainingPart
from raysweep.training.grad_cam import first_of_each

from .attention import shrunk
from .labels import AdaptedTargets

MOST_PIXELS = 80
"""Side of a kept face, at most."""


@dataclass(frozen=True)
class AdaptedFaces:
    """An extra set as it came and as it was adapted."""

    data: FaceData
    given: Given
    adapted: AdaptedTargets


def kept_faces(part: TrainingPart, extra: AdaptedFaces | None) -> LabelledFaces:
    """The first trained image of each class, before label noise; of an extra set the first of each class, as given,
    among those that the method adapts. What became of their labels chooses none: arms of a replicate show equal faces.
    """
    targets = part.targets
    rows = part.rows[targets.true_N[part.rows] >= 0]
    rows = first_of_each(rows, targets.true_N[rows], most=1)
    arrays: dict[str, Any] = {
        "pixels": _pixels(part.data, rows),
        "labels_true": targets.true_N[rows],
        "labels": targets.given_N[rows],
        "va": targets.va_N2[rows],
        "mixed": targets.mixed_NK[rows],
        "fused": targets.soft_NK[rows],
    }
    if targets.gaussians is not None:
        arrays |= targets.gaussians._asdict()
    if extra is not None:
        arrays |= _of_extra(extra.data, extra.given, extra.adapted)
    return LabelledFaces(**{name: values.numpy() for name, values in arrays.items()})


def _of_extra(data: FaceData, given: Given, adapted: AdaptedTargets) -> dict[str, Tensor]:
    """{} where M_A agrees with every label."""
    rows = given.rows[~adapted.selected_N[given.rows]]
    rows = first_of_each(rows, given.labels_N[rows], most=1)
    if not len(rows):
        return {}
    return {
        "extra_pixels": _pixels(data, rows),
        "extra_labels_given": given.labels_N[rows],
        "extra_labels_new": adapted.labels_N[rows],
        "extra_va_given": given.va_N2[rows],
        "extra_va_new": adapted.va_N2[rows],
    }


def _pixels(data: FaceData, rows: Tensor) -> Tensor:
    return shrunk(data.images[rows], MOST_PIXELS).permute(0, 2, 3, 1).contiguous()
