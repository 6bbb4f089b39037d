"""The camera: occlusion, exposure, blur and sensor noise of a painted canvas. n samples in a chunk."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, normal

from .canvas import Canvas, Patch, bump, chosen
from .scene import BAR, HAND, SCARF, Scene

_GRAIN_LENGTH = 1 << 20


def draw_occluder(canvas: Canvas, skin: Tensor, scene: Scene) -> None:
    """Paint a bar, a scarf or a hand over the face, where the scene has one."""
    if not scene.occluder.any():
        return
    for kind, draw in ((BAR, _bar), (SCARF, _scarf), (HAND, _hand)):
        some = chosen(scene.occluder == kind)
        part = canvas.take_whole(some)
        mask, tone = draw(part, scene.occluder_x[some], scene.occluder_y[some])
        colour = skin if kind == HAND else scene.occluder_colour
        part.paint(mask, colour[some] * tone[:, None])
        canvas.put(part, some=some)


def _bar(part: Patch, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and brightness of a bar across the picture, each (n, h, w)."""
    across = part.x * 0.9 + part.y * (0.45 * x) - 0.55 * y
    return part.inside(0.15 - across.abs()), 1.0 - 1.2 * across.abs()


def _scarf(part: Patch, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and brightness of cloth over the lower face, each (n, h, w)."""
    edge = part.y + 0.20 * x * part.x + 0.06 * part.x.square() - 0.25 * y - 0.45
    weave = part.x * 9 + part.y * 6 + 64
    return part.inside(edge), 0.88 + 0.2 * (weave - weave.floor() - 0.5).abs()


def _hand(part: Patch, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and brightness of four fingers held before the mouth, each (n, h, w)."""
    place = (part.x - 0.32 * x) / 0.125 + 64
    finger = place.floor()
    across, which = place - finger - 0.5, finger - 63.5
    tip = part.y - 0.34 - 0.12 * y - 0.035 * which.square()
    rounded = torch.minimum(0.060 - (across * 0.125).abs(), tip - 0.8 * across.square() * 0.25)
    mask = part.inside(rounded) * (which.abs() < 2)
    return mask, 0.70 + 0.27 * bump(across, 0.7)


def expose(pixels: Tensor, scene: Scene) -> None:
    """Exposure, white balance and contrast, p + c p (1 - p), in place; from [0, 1] to [0, 255]."""
    contrast = scene.contrast[:, None]
    pixels.mul_(255 * scene.exposure[:, None] * scene.white)
    pixels.mul_((pixels * (contrast / -255)).add_(1 + contrast))


def blur(pixels: Tensor, scene: Scene) -> None:
    """A small separable kernel (w, 1 - 2w, w) in place; its reach is a share of the picture, not a pixel."""
    blurred = chosen(scene.blur)
    if len(blurred) == 0:
        return
    weight = (0.30 * scene.blur)[:, None]
    step = max(1, round(pixels.shape[-1] / 64))
    some, weight = pixels[blurred], weight[blurred]
    for axis in (2, 3):
        _blur_along(some, weight, step, axis)
    pixels[blurred] = some


def _blur_along(pixels: Tensor, weight: Tensor, step: int, axis: int) -> None:
    """One pass in place; the outermost `step` rows keep their value."""
    length = pixels.shape[axis] - 2 * step
    middle = pixels.narrow(axis, step, length)
    around = pixels.narrow(axis, 0, length) + pixels.narrow(axis, 2 * step, length)
    middle.add_(around.sub_(middle).sub_(middle).mul_(weight))


def develop(pixels: Tensor, scene: Scene) -> Tensor:
    """Add sensor noise and round. Returns (n, 3, h, w) uint8."""
    strip, length = _grain(), pixels.shape[1:].numel()
    starts = (scene.grain.flatten() * (_GRAIN_LENGTH - length)).long().tolist()
    grain = torch.cat([strip[:0], *(strip[start : start + length] for start in starts)]).view_as(pixels)
    return grain.mul_(255 * scene.noise[:, None]).add_(pixels).add_(0.5).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=1)
def _grain() -> Tensor:
    """Standard normal noise, of which each picture takes a part. Shape (2**20,) float32."""
    return normal(derive_key("faces", "film"), torch.arange(_GRAIN_LENGTH)).float()
