"""Attention maps of a cell, and a few small faces to draw them on without the data set."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from raysweep.artifacts.attention_maps import AttentionMaps
from raysweep.training import FinalResult, Trainer

SHOWN_PER_CLASS = 2
"""Faces of each expression whose pixels are kept."""

MOST_PIXELS = 112
"""Side of a kept face, at most."""


def kept_attention(trainer: Trainer, final: FinalResult) -> AttentionMaps:
    """Where the headline weights look, with pixels of the first faces of each expression."""
    rows, data, headline = final.attention.rows, trainer.data, final.predictions[final.headline]
    labels = data.labels[rows]
    shown = torch.cat([rows[:0], *(torch.nonzero(labels == k).flatten()[:SHOWN_PER_CLASS] for k in labels.unique())])
    return AttentionMaps(
        rows=rows.numpy(),
        labels=labels.numpy(),
        maps=final.attention.maps.numpy(),
        probs=headline.probs_NK[torch.searchsorted(headline.rows, rows)].numpy(),
        shown=shown.numpy(),
        pixels=shrunk(data.images[rows[shown]]).permute(0, 2, 3, 1).contiguous().numpy(),
    )


def shrunk(images: Tensor, most: int = MOST_PIXELS) -> Tensor:
    """Pixels (M, 3, H, W) uint8 with no side above `most`, proportions kept; those that are small enough as they are.

    >>> shrunk(torch.full((1, 3, 224, 112), 7, dtype=torch.uint8)).shape
    torch.Size([1, 3, 112, 56])
    """
    height, width = images.shape[2:]
    scale = most / max(height, width)
    if scale >= 1:
        return images
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8)
