"""The trainer: pure PyTorch, usable with neither ray nor mlflow installed."""

from .checkpoint import load_checkpoint, save_checkpoint, weights_hash
from .objective import loss_terms
from .targets import Targets, prepare_targets
from .trainer import DegenerateLoss, EpochResult, FinalResult, Trainer

__all__ = [
    "DegenerateLoss",
    "EpochResult",
    "FinalResult",
    "Targets",
    "Trainer",
    "load_checkpoint",
    "loss_terms",
    "prepare_targets",
    "save_checkpoint",
    "weights_hash",
]
