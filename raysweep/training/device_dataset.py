"""Images and targets on the model's device, indexed by row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raysweep.config.sections import Augment
from raysweep.data.dataset import FaceData

from .augmentation import augment, normalise
from .targets import TrainingPart

RESIDENT_SHARE = 0.4
"""All images are kept on the GPU when they take at most this share of its free memory."""


class DeviceImages:
    """The images of one or several data sets on one device, under consecutive row numbers."""

    def __init__(self, sets: Sequence[FaceData], device: torch.device) -> None:
        self.device = device
        total = sum(data.images.numel() for data in sets)
        resident = device.type == "cuda" and total <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        self.pixels = [data.images.to(device) if resident else data.images for data in sets]
        self.starts = [0]
        for data in sets:
            self.starts.append(self.starts[-1] + len(data))

    def plain(self, rows: Tensor) -> Tensor:
        """Normalised images (M, 3, H, W) float32, channels last."""
        return normalise(self.gather(rows)).contiguous(memory_format=torch.channels_last)

    def gather(self, rows: Tensor) -> Tensor:
        """Pixels (M, 3, H, W) uint8 of the rows, whichever data set they are in."""
        index = rows.to(self.pixels[0].device)
        if len(self.pixels) == 1:
            return self.pixels[0][index].to(self.device, non_blocking=True)
        images = self.pixels[0].new_empty((len(rows), *self.pixels[0].shape[1:]))
        for pixels, start, end in zip(self.pixels, self.starts, self.starts[1:], strict=False):
            mine = (index >= start) & (index < end)
            images[mine] = pixels[index[mine] - start]
        return images.to(self.device, non_blocking=True)


class DeviceFaces(DeviceImages):
    """The parts of a training run on one device.

    `given_N`, `true_N`, `flipped_N`, `soft_NK`, `va_N2`, `weights_N` as in `Targets`, of all parts one
    after another. `rows[p]` are the rows of part p that are trained on, (M,) on the CPU.
    """

    def __init__(self, parts: Sequence[TrainingPart], device: torch.device, order_seed: int, config: Augment) -> None:
        super().__init__([part.data for part in parts], device)
        self.order_seed, self.config = order_seed, config
        self.rows = [part.rows + start for part, start in zip(parts, self.starts, strict=False)]
        targets = [part.targets for part in parts]
        self.given_N = torch.cat([t.given_N for t in targets]).to(device)
        self.true_N = torch.cat([t.true_N for t in targets]).to(device)
        self.flipped_N = torch.cat([t.flipped_N for t in targets]).to(device)
        self.soft_NK = torch.cat([t.soft_NK for t in targets]).to(device)
        self.va_N2 = torch.cat([t.va_N2 for t in targets]).to(device)
        self.weights_N = torch.cat([t.weights_N for t in targets]).to(device)

    def augmented(self, rows: Tensor, epoch: int) -> Tensor:
        """The images as augmented for one epoch."""
        images = augment(self.gather(rows), rows.to(self.device), self.order_seed, epoch, self.config)
        return images.contiguous(memory_format=torch.channels_last)
