"""Per-image scores of an arm's cells, where all were scored on the same test images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raysweep.artifacts.predictions import ImagePredictions
from raysweep.core.errors import UserError

from .image_scores import has_image_scores, image_scores

if TYPE_CHECKING:  # it imports this package
    from raysweep.report.results.records import CellRecord

CLOSE = 1e-4
"""Absolute and relative tolerance between a score in MLflow and that of the predictions."""


@dataclass(frozen=True)
class ArmImages:
    """By score, the values (M,) of every image by replicate.

    `images`: digest of the images and their annotations, equal for arms scored on the same; `why`: reason, by score,
    why there are no values; under "" one that holds for all scores.
    """

    values: Mapping[str, Mapping[int, np.ndarray]]
    images: str
    why: Mapping[str, str]

    def reason(self, score: str) -> str:
        return self.why.get("") or self.why.get(score, "")


def arm_images(cells: Sequence[CellRecord], scores: Sequence[str]) -> ArmImages:
    """Read the predictions of an arm's complete cells, one at a time."""
    values: dict[str, dict[int, np.ndarray]] = {score: {} for score in scores if has_image_scores(score)}
    why = {score: "it is not a smooth function of single images" for score in scores if not has_image_scores(score)}
    seen = ""
    for cell in cells if values else ():
        if not cell.complete:
            continue
        try:
            predictions = cell.predictions()
        except UserError:
            predictions = None
        if predictions is None or not len(predictions.rows):
            return ArmImages({}, "", {"": f"there are no predictions of {cell.name}"})
        seen, before = _digest(predictions), seen
        if before not in ("", seen):
            return ArmImages({}, "", {"": "replicates are scored on different test images"})
        for score in values:
            found, told = image_scores(predictions, score), cell.scores.get(score)
            if found is None or told is None:
                why.setdefault(score, f"{cell.name} has none")
            elif not math.isclose(found.mean(), told, rel_tol=CLOSE, abs_tol=CLOSE):
                why.setdefault(score, f"the predictions of {cell.name} give another score than MLflow")
            else:
                values[score][cell.replicate] = found
    return ArmImages({score: found for score, found in values.items() if score not in why}, seen, why)


def _digest(predictions: ImagePredictions) -> str:
    parts = (predictions.rows, predictions.labels, predictions.va)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
