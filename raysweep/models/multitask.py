"""The multi-task model of DDAF, Figure 2: one encoder, a classifier and a valence/arousal head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raysweep.core.experiment import Model

from .backbones import find_backbone, load_encoder_weights


class MultiTaskModel(nn.Module):
    """Shared encoder, Linear(F, K) for expressions, Linear(F, 2) and tanh for valence and arousal."""

    def __init__(self, encoder: nn.Module, features: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(features, num_classes)
        self.affect = nn.Linear(features, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) float to logits (N, K) and valence/arousal (N, 2) in (-1, 1)."""
        features = self.encoder(images)
        return self.classifier(features), torch.tanh(self.affect(features))


def build_model(config: Model, num_classes: int, seed: int) -> MultiTaskModel:
    """A model on the CPU whose initial weights depend on `seed` alone; torch's global generator is left as it was.

    Raises:
        UserError: unknown backbone, or weights that cannot be had (see `load_encoder_weights`).
    """
    backbone = find_backbone(config.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MultiTaskModel(backbone.build(), backbone.features, num_classes)
    if config.weights is not None:
        load_encoder_weights(model.encoder, config.backbone, config.weights)
    return model
