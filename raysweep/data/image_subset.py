"""Images that are not all in memory: `Picked`, rows of a larger array, and `Drawn`, which are drawn at the first access
to pixels. Nothing is copied or drawn before that.

A data set of a million images is a memory map; a part of it (a subset, or all but its twins) must not be a copy in
memory. Row i of the part is row `places[i]` of the whole; what is keyed by row (label noise, order, augmentation) uses
i, as it would for a copy.
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
    """Images (N, 3, H, W) uint8 on the CPU, made by `draw` at the first access to pixels: labels and counts of a
    million built-in faces take seconds, their pixels minutes. Indexed like a tensor."""

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
    """Images (M, 3, H, W) uint8: those at `places` (M,) of `whole` (N, 3, H, W). Indexed like a tensor."""

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
        copied = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for part, places in zip(copied.split(_CHUNK), self.places.split(_CHUNK), strict=True):
            part.copy_(self.whole[places])
        return copied


Images = Tensor | Picked | Drawn
"""(N, 3, H, W) uint8."""


def draw(images: Images) -> None:
    """Draw pixels that are not drawn yet."""
    whole = images.whole if isinstance(images, Picked) else images
    if isinstance(whole, Drawn):
        _ = whole.pixels


def pick(images: Images, rows: Tensor) -> Picked:
    """The images at `rows`, without a copy."""
    if isinstance(images, Picked):
        return Picked(images.whole, images.places[rows])
    return Picked(images, rows)
