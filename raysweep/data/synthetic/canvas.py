"""The drawing surface: pixels, two coordinate systems, soft-edged shapes. n samples in a chunk.

Every operation on pixels is a plain sum, product, minimum or square root, which give the same bits
in vectorised and scalar code: a face does not depend on the rest of the batch.
Parts are contiguous copies: working on strided views costs about twice the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in picture coordinates: [-1, 1], y downwards."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of some samples' pictures, taken out to be painted.

    `pixels` (m, 3, h, w) sRGB in [0, 1]; `x`, `y` (m, h, w) coordinates; `sharpness` = 1 / pixel size.
    """

    pixels: Tensor
    x: Tensor
    y: Tensor
    sharpness: float

    def inside(self, distance: Tensor) -> Tensor:
        """Coverage of a shape from its signed distance, positive inside: a linear edge about a pixel wide."""
        return soft_edge(distance, self.sharpness)

    def paint(self, mask: Tensor, colour: Tensor) -> None:
        """Blend a colour (m, 3, 1, 1) or (m, 3, h, w) over the pixels where mask (m, h, w) is 1."""
        self.pixels.add_((colour - self.pixels).mul_(mask[:, None]))


@dataclass(frozen=True)
class Canvas:
    """An unfinished picture.

    `pixels` (n, 3, H, W); `shade` (n, H, W) brightness of the skin, 1 is plain; `u`, `v` (n, H, W)
    head coordinates, v downwards, the head about 0.6 by 0.8; `fu`, `fv` the same after turning the
    head: where its features sit.
    """

    pixels: Tensor
    shade: Tensor
    u: Tensor
    v: Tensor
    fu: Tensor
    fv: Tensor
    sharpness: float

    def take(self, box: Box, some: Tensor | None = None) -> Patch:
        """Take a rectangle out (of some samples only) with feature coordinates; `put` brings it back."""
        pixels, fu, fv = (self.crop(plane, box, some) for plane in (self.pixels, self.fu, self.fv))
        return Patch(pixels, fu, fv, self.sharpness)

    def take_whole(self, some: Tensor) -> Patch:
        """Take some samples' whole pictures out, with head coordinates."""
        return Patch(self.pixels[some], self.u[some], self.v[some], self.sharpness)

    def put(self, part: Patch, box: Box | None = None, some: Tensor | None = None) -> None:
        """Replace the pixels of a rectangle by a part's."""
        target = self.pixels if box is None else self.pixels[(..., *_slices(box, self.pixels.shape[-1]))]
        if some is None:
            target.copy_(part.pixels)
        else:
            target[some] = part.pixels

    def crop(self, plane: Tensor, box: Box, some: Tensor | None = None) -> Tensor:
        """A contiguous copy, safe to change, of a rectangle of any (n, ..., H, W) plane."""
        view = plane[(..., *_slices(box, plane.shape[-1]))]
        return view.clone(memory_format=torch.contiguous_format) if some is None else view[some]

    def darken(self, box: Box, amount: Tensor) -> None:
        """Take an amount (n, h, w) from the skin's brightness; a negative one lightens."""
        self.shade[(..., *_slices(box, self.shade.shape[-1]))].sub_(amount)


def soft_edge(distance: Tensor, sharpness: float) -> Tensor:
    """1 well inside, 0 well outside, linear between. `distance` is not changed."""
    return (distance * sharpness).add_(0.5).clamp_(0, 1)


def blob(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    """A smooth bump: 1 at the origin, 0 outside the ellipse. Shape of x."""
    beyond = (x * (1 / width)).square_().add_((y * (1 / height)).square_()).sub_(1)
    return beyond.clamp_(max=0).square_()


def bump(x: Tensor, width: Tensor | float) -> Tensor:
    """The same along one axis."""
    return (x * (1 / width)).square_().sub_(1).clamp_(max=0).square_()


def ramp(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """0 below `low`, 1 above `high`, a straight line between."""
    return (x - low).mul_(1 / (high - low)).clamp_(0, 1)


def chosen(flag: Tensor) -> Tensor:
    """Samples of a chunk whose flag (n, 1, 1) is above zero. Shape (m,) int64."""
    return torch.nonzero(flag.flatten() > 0).flatten()


def picture_axis(size: int) -> Tensor:
    """Pixel centres along one side, in [-1, 1]. Shape (size,) float32."""
    return (torch.arange(size, dtype=torch.float32) + 0.5) * (2.0 / size) - 1.0


def _slices(box: Box, size: int) -> tuple[slice, slice]:
    """Rows and columns of a box, at least a pixel of margin on every side."""
    left, top, right, bottom = box
    return _span(top, bottom, size), _span(left, right, size)


def _span(low: float, high: float, size: int) -> slice:
    return slice(max(0, int((low + 1) / 2 * size) - 1), min(size, int((high + 1) / 2 * size) + 2))
