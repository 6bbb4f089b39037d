"""Images that are not all in memory: `Picked`, some of a larger array by their places in it, and `Drawn`, which are
drawn when pixels are asked for. Nothing is copied or drawn before that.

A data set of a million images lies on disk and is mapped into memory; a part of it (a subset, or all but its twins)
must not cost its size in memory again. Row i of the part is row `places[i]` of the whole, so whatever is keyed by
row (label noise, order, augmentation) is what it would be had the part been copied.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

_CHUNK = 1024
"""Images copied to a device at a time."""


class Drawn:
    """Images (N, 3, H, W) uint8 on the CPU that `draw` gives when the first pixel is asked for: labels and counts of a
    million built-in faces take seconds, their pixels minutes. Read like the tensor of them."""

    def __init__(self, shape: tuple[int, int, int, int], draw: Callable[[], Tensor]) -> None:
        self.shape, self.device, self._draw = torch.Size(shape), torch.device("cpu"), draw

    @cached_property
    def pixels(self) -> Tensor:
        pixels = self._draw()
        assert pixels.shape == self.shape
        return pixels

    @property
    def is_drawn(self) -> bool:
        return "pixels" in self.__dict__

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        return self.pixels[rows]

    def numel(self) -> int:
        return self.shape.numel()

    def new_empty(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=torch.uint8)

    def to(self, device: torch.device) -> Tensor:
        return self.pixels.to(device)


class Picked:
    """Images (M, 3, H, W) uint8: those at `places` (M,) of `whole` (N, 3, H, W). Read like the tensor of them."""

    def __init__(self, whole: Tensor | Drawn, places: Tensor) -> None:
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
        there = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for part, places in zip(there.split(_CHUNK), self.places.split(_CHUNK), strict=True):
            part.copy_(self.whole[places])
        return there


Images = Tensor | Picked | Drawn
"""(N, 3, H, W) uint8."""


def draw(images: Images) -> None:
    """Make sure that pixels are there."""
    whole = images.whole if isinstance(images, Picked) else images
    if isinstance(whole, Drawn):
        _ = whole.pixels


def pick(images: Images, rows: Tensor) -> Picked:
    """The images at `rows`, without a copy."""
    if isinstance(images, Picked):
        return Picked(images.whole, images.places[rows])
    return Picked(images, rows)
