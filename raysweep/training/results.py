"""Results of a training: of each epoch, and at the end."""

from __future__ import annotations

from dataclasses import dataclass

from .grad_cam import GradCam
from .predict import Predictions


@dataclass(frozen=True)
class EpochResult:
    """One epoch. `metrics`: train/*, fit/*, val/* (test_epoch/* under best_on_test), learning_rate, seconds."""

    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class FinalResult:
    """Test predictions of each kind of weights ("last", "swa", "best"); of the headline kind also attention maps, and
    predictions of the validation images, where there are any."""

    headline: str
    predictions: dict[str, Predictions]
    best_epoch: int | None
    attention: GradCam
    validation: Predictions | None = None
