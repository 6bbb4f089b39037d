"""What a model said of the images it was scored on, beside what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .array_file import Array, ArrayFile


@dataclass(frozen=True, eq=False)
class ImagePredictions(ArrayFile):
    """Of images `rows` (N,): `probs` (N, K) and `affect` (N, 2) as predicted, `labels` (N,) int64 (-1: no expression)
    and `va` (N, 2) as given (NaN: none)."""

    FILE: ClassVar[str] = "predictions.npz"

    rows: Array
    probs: Array
    affect: Array
    labels: Array
    va: Array

    def __post_init__(self) -> None:
        probs, labels = self.probs, self.labels
        known = probs.ndim == 2 and self.affect.shape == self.va.shape == (len(probs), 2)
        floats = all(own.dtype.kind == "f" for own in (probs, self.affect, self.va)) and labels.dtype.kind == "i"
        known = known and self.rows.shape == labels.shape == (len(probs),)
        if not known or not floats or not probs.shape[1] or bool((labels >= probs.shape[1]).any()):
            raise ValueError("predictions of another shape")


@dataclass(frozen=True, eq=False)
class ValidationPredictions(ImagePredictions):
    """Of the validation images, by the weights whose test predictions are kept: for what is fitted after training."""

    FILE: ClassVar[str] = "validation.npz"
