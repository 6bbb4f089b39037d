"""Encoders and the multi-task model on top of them."""

from .arm import ARM, fresh_affinity
from .backbones import BACKBONES
from .multitask import MultiTaskModel, Outputs, build_model

__all__ = ["ARM", "BACKBONES", "MultiTaskModel", "Outputs", "build_model", "fresh_affinity"]
