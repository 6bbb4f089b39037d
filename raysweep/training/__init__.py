"""The trainer: pure PyTorch, usable without ray and mlflow."""

from .checkpoint import load_checkpoint, save_checkpoint, weights_hash
from .objective import loss_terms
from .results import EpochResult, FinalResult
from .targets import (
    Given,
    Targets,
    TrainingPart,
    build_targets,
    check_every_class,
    class_counts,
    given_labels,
    prepare_targets,
)
from .trainer import DegenerateLoss, Trainer

__all__ = [
    "DegenerateLoss",
    "EpochResult",
    "FinalResult",
    "Given",
    "Targets",
    "Trainer",
    "TrainingPart",
    "build_targets",
    "check_every_class",
    "class_counts",
    "given_labels",
    "load_checkpoint",
    "loss_terms",
    "prepare_targets",
    "save_checkpoint",
    "weights_hash",
]
