"""The multi-task model of DDAF, Figure 2: one encoder, a classifier and a valence/arousal head."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from raysweep.config.sections import Model

from .backbones import find_backbone, load_encoder_weights


class Outputs(NamedTuple):
    """Outputs for N images: (N, K) scores, (N, 2) valence/arousal, (N,) in (0, 1) or None."""

    logits: Tensor
    affect: Tensor
    importance: Tensor | None


class MultiTaskModel(nn.Module):
    """Shared encoder, a classifier of K expressions and a head for valence and arousal.

    Args:
        encoder: from (N, 3, H, W) to (N, features).
        affect: activation of the valence/arousal head: "tanh" (DDAF), or "linear" for none, as in DCJT's code.
        head: "plain" has logits W x + b. "scn" (Wang et al., "Suppressing uncertainties for large-scale
            facial expression recognition", CVPR 2020) has importance a = sigmoid(u x + c) and logits
            a * (W x + b), in evaluation too; valence and arousal are not weighted.
    """

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        num_classes: int,
        affect: Literal["tanh", "linear"] = "tanh",
        head: Literal["plain", "scn"] = "plain",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(features, num_classes)
        self.affect = nn.Linear(features, 2)
        self.affect_activation = nn.Tanh() if affect == "tanh" else nn.Identity()
        # last, so that the layers above have the same initial values with either head
        self.importance = nn.Linear(features, 1) if head == "scn" else None

    def forward(self, images: Tensor) -> Outputs:
        """(N, 3, H, W) float to `Outputs`; importance is None unless the head is "scn"."""
        features = self.encoder(images)
        logits, affect = self.classifier(features), self.affect_activation(self.affect(features))
        if self.importance is None:
            return Outputs(logits, affect, None)
        importance_N1 = torch.sigmoid(self.importance(features))
        return Outputs(importance_N1 * logits, affect, importance_N1[:, 0])


def build_model(config: Model, num_classes: int, seed: int) -> MultiTaskModel:
    """A model on the CPU whose initial weights depend on `seed` alone; torch's global generator is not changed.

    Raises:
        UserError: unknown backbone, or weights that cannot be loaded (see `load_encoder_weights`).
    """
    backbone = find_backbone(config.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = backbone.build(**{name: getattr(config, name) for name in backbone.options})
        model = MultiTaskModel(encoder, backbone.features, num_classes, config.affect, config.head)
        if config.weights is not None:  # under the fork: timm initialises a model for its download
            load_encoder_weights(model.encoder, config.backbone, config.weights)
    return model
