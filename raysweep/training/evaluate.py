"""What a model says about a set of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raysweep.models import Outputs

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Predictions:
    """On the CPU: `rows` (M,) of the data set, `probs_NK` (M, K) float32, `affect_N2` (M, 2) float32."""

    rows: Tensor
    probs_NK: Tensor
    affect_N2: Tensor


@torch.inference_mode()
def predict(model: nn.Module, rows: Tensor, images: Callable[[Tensor], Tensor]) -> Predictions:
    """Class probabilities and valence/arousal of `images(rows)`, in evaluation mode; the mode is put back."""
    was_training = model.training
    model.eval()
    probs, affect = [], []
    for part in rows.split(EVALUATION_BATCH):
        out: Outputs = model(images(part))
        probs.append(torch.softmax(out.logits.float(), 1).cpu())
        affect.append(out.affect.float().cpu())
    model.train(was_training)
    return Predictions(rows, torch.cat(probs), torch.cat(affect))
