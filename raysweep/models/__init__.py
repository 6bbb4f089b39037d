"""Encoders and the multi-task model on top of them."""

from .backbones import BACKBONES
from .multitask import MultiTaskModel, build_model

__all__ = ["BACKBONES", "MultiTaskModel", "build_model"]
