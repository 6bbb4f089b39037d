"""`Picked`: some images of a larger array, by their places in it. Nothing is copied until pixels are asked for.

A data set of a million images lies on disk and is mapped into memory; a part of it (a subset, or all but its twins)
must not cost its size in memory again. Row i of the part is row `places[i]` of the whole, so whatever is keyed by
row (label noise, order, augmentation) is what it would be had the part been copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CHUNK = 1024
"""Images copied to a device at a time."""


class Picked:
    """Images (M, 3, H, W) uint8: those at `places` (M,) of `whole` (N, 3, H, W). Read like the tensor of them."""

    def __init__(self, whole: Tensor, places: Tensor) -> None:
        self.whole, self.places = whole, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> Tensor:
        """The images at `rows`, copied: a number, a slice, indices or a mask, as a tensor takes them."""
        return self.whole[self.places[rows]]

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.places), *self.whole.shape[1:]))

    @property
    def device(self) -> torch.device:
        return self.whole.device

    def numel(self) -> int:
        return self.shape.numel()

    def new_empty(self, shape: tuple[int, ...]) -> Tensor:
        return self.whole.new_empty(shape)

    def to(self, device: torch.device) -> Tensor:
        """A copy on a device, of these images only."""
        there = torch.empty(self.shape, dtype=self.whole.dtype, device=device)
        for part, places in zip(there.split(_CHUNK), self.places.split(_CHUNK), strict=True):
            part.copy_(self.whole[places])
        return there


Images = Tensor | Picked
"""(N, 3, H, W) uint8."""


def pick(images: Images, rows: Tensor) -> Picked:
    """The images at `rows`, without a copy."""
    if isinstance(images, Picked):
        return Picked(images.whole, images.places[rows])
    return Picked(images, rows)
