"""Images and targets where the model is, ready to be indexed by row."""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.core.experiment import Augment
from raysweep.data.augment import augment, normalise
from raysweep.data.dataset import FaceData

from .targets import Targets

RESIDENT_SHARE = 0.4
"""All images live on the GPU when they take at most this share of its free memory."""


class DeviceFaces:
    """A data set and its targets on one device.

    `given_N`, `true_N`, `flipped_N`, `soft_NK`, `va_N2`, `weights_N` as in `Targets`, on the device.
    """

    def __init__(self, data: FaceData, targets: Targets, device: torch.device, order_seed: int, config: Augment):
        self.device, self.order_seed, self.config = device, order_seed, config
        self.pixels = data.images.to(device) if _fits(data.images, device) else data.images
        self.given_N = targets.given_N.to(device)
        self.true_N = targets.true_N.to(device)
        self.flipped_N = targets.flipped_N.to(device)
        self.soft_NK = targets.soft_NK.to(device)
        self.va_N2 = targets.va_N2.to(device)
        self.weights_N = targets.weights_N.to(device)

    def plain(self, rows: Tensor) -> Tensor:
        """Normalised images (M, 3, H, W) float32, channels last."""
        return normalise(self._gather(rows)).contiguous(memory_format=torch.channels_last)

    def augmented(self, rows: Tensor, epoch: int) -> Tensor:
        """The images as they are drawn for one epoch."""
        images = augment(self._gather(rows), rows.to(self.device), self.order_seed, epoch, self.config)
        return images.contiguous(memory_format=torch.channels_last)

    def _gather(self, rows: Tensor) -> Tensor:
        return self.pixels[rows.to(self.pixels.device)].to(self.device, non_blocking=True)


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return images.numel() <= RESIDENT_SHARE * free
