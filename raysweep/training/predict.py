"""Predictions of a model for a set of images."""

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
    """Class probabilities and valence/arousal of `images(rows)`, in evaluation mode; the mode is restored."""
    was_training = model.training
    model.eval()
    # one tensor for all batches: small ones kept from each would fragment the memory that large ones could reuse
    probs_NK, affect_N2, done = torch.empty(0), torch.empty(len(rows), 2), 0
    for part in rows.split(EVALUATION_BATCH):
        out: Outputs = model(images(part))
        if not done:
            probs_NK = torch.empty(len(rows), out.logits.shape[1])
        some = slice(done, done + len(part))
        probs_NK[some], affect_N2[some] = torch.softmax(out.logits.float(), 1), out.affect
        done += len(part)
    model.train(was_training)
    return Predictions(rows, probs_NK, affect_N2)
