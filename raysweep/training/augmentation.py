"""Augmentation of a whole batch at once, on the device the images are on.

Every draw is keyed by (seed, epoch, sample id, operation), so it does not depend on an image's batch,
on the number of devices, or on earlier draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from raysweep.config.sections import Augment
from raysweep.core.keyed_random import derive_key, uniform

Draw = Callable[[str], Tensor]
"""Operation name to (N,) float32 in (0, 1)."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's channel statistics, expected by torchvision's weights."""

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a grey image: ITU-R 601, in torchvision's digits."""


def normalise(images_N3HW: Tensor) -> Tensor:
    """uint8 pixels to float32 with ImageNet's mean and std. (N, 3, H, W) to (N, 3, H, W)."""
    mean = torch.tensor(MEAN, device=images_N3HW.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images_N3HW.device).view(1, 3, 1, 1)
    return images_N3HW.float().div_(255).sub_(mean).div_(std)


def augment(images_N3HW: Tensor, ids_N: Tensor, seed: int, epoch: int, config: Augment) -> Tensor:
    """Flip, affine, colour jitter, erasing, then `normalise`.

    Source: DDAF section 4.2; ranges from the authors' code. Brightness and contrast are torchvision's: a factor, and
    a factor about the mean of the grey image (`LUMA`), each clamped to [0, 1].

    Differs from the authors' code, which is torchvision's `RandomAffine` and `ColorJitter`: what a shift or turn
    uncovers repeats the edge of the image (theirs: black); images are resampled bilinearly (theirs: nearest pixel);
    the shift is drawn before the zoom, which enlarges it, and not rounded to pixels; brightness comes before
    contrast (theirs: in random order).

    Args:
        images_N3HW: (N, 3, H, W) uint8.
        ids_N: (N,) int64, the sample's number in the data set.
        seed: the replicate's order seed.
        epoch: 1-based.
        config: ranges and probabilities.

    Returns:
        (N, 3, H, W) float32, normalised.
    """

    def draw(operation: str) -> Tensor:
        return uniform(derive_key(seed, "augment", epoch, operation), ids_N).float()

    def symmetric(operation: str, reach: float) -> Tensor:
        return (2 * draw(operation) - 1) * reach

    images = images_N3HW.float().div_(255)  # in place where possible: new memory costs more than the arithmetic
    images = _affine(images, draw, symmetric, config)
    if config.brightness:
        images.mul_((1 + symmetric("brightness", config.brightness)).view(-1, 1, 1, 1)).clamp_(0, 1)
    if config.contrast:
        grey = (images.mean((2, 3)) * images.new_tensor(LUMA)).sum(1).view(-1, 1, 1, 1)  # no matmul: autocast rounds it
        factor = (1 + symmetric("contrast", config.contrast)).view(-1, 1, 1, 1)
        torch.lerp(grey, images, factor, out=images).clamp_(0, 1)
    images.sub_(images.new_tensor(MEAN).view(1, 3, 1, 1)).div_(images.new_tensor(STD).view(1, 3, 1, 1))
    return _erase(images, draw, config) if config.erase else images


def _affine(images: Tensor, draw: Draw, symmetric: Callable[[str, float], Tensor], config: Augment) -> Tensor:
    """One bilinear resampling for flip, rotation, zoom and shift together; edges are repeated."""
    mirror = torch.where(draw("flip") < config.flip, -1.0, 1.0)
    if not (config.rotate or config.translate or config.scale_min != 1 or config.scale_max != 1):
        return torch.where((mirror < 0).view(-1, 1, 1, 1), images.flip(3), images)
    angle = symmetric("rotate", math.radians(config.rotate))
    zoom = config.scale_min + draw("scale") * (config.scale_max - config.scale_min)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift_x, shift_y = symmetric("shift x", 2 * config.translate), symmetric("shift y", 2 * config.translate)
    theta = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], 1).view(-1, 2, 3)
    with torch.autocast(images.device.type, enabled=False):  # else coordinates would be rounded to 8 bits
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _erase(images: Tensor, draw: Draw, config: Augment) -> Tensor:
    """Random erasing (Zhong et al., 2020): a rectangle of the mean colour, aspect ratio in [0.3, 3.3]."""
    height, width = images.shape[2:]
    area = config.erase_min + draw("erase area") * (config.erase_max - config.erase_min)
    log_ratio = math.log(0.3) + draw("erase ratio") * (math.log(3.3) - math.log(0.3))
    tall = (torch.sqrt(area * torch.exp(log_ratio)) * height).clamp(max=height)
    wide = (torch.sqrt(area / torch.exp(log_ratio)) * width).clamp(max=width)
    top, left = draw("erase top") * (height - tall), draw("erase left") * (width - wide)
    y = torch.arange(height, device=images.device) + 0.5
    x = torch.arange(width, device=images.device) + 0.5
    in_y = (y > top[:, None]) & (y < (top + tall)[:, None])
    in_x = (x > left[:, None]) & (x < (left + wide)[:, None])
    erased = (draw("erase") < config.erase)[:, None, None] & in_y[:, :, None] & in_x[:, None, :]
    return images.masked_fill_(erased[:, None], 0.0)
