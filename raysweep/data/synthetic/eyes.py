"""Eyes, lids, brows and glasses. n samples in a chunk.

Both sides at once: `x` points outwards from the middle of an eye, `y` downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .canvas import Canvas, Patch, bump, chosen, ramp
from .identity import Identity
from .keyed_draws import ParameterTable
from .scene import Scene

EYE_LINE = -0.115
_EYES = (-0.66, -0.38, 0.66, 0.14)
_BROWS = (-0.70, -0.70, 0.70, -0.04)
_GLASSES = (-0.80, -0.44, 0.80, 0.20)
_WHITE = torch.tensor([0.96, 0.95, 0.93]).reshape(3, 1, 1)
_BLACK = torch.tensor([0.05, 0.04, 0.04]).reshape(3, 1, 1)
_FRAME = torch.tensor([0.13, 0.11, 0.12]).reshape(3, 1, 1)


@dataclass(frozen=True)
class EyeShape(ParameterTable):
    """Lids and brow of both eyes (faces are symmetric here). All (n, 1, 1).

    `upper`, `lower` opening above and below the eye line; `slant` raises the inner end of the upper
    lid; `brow_inner`, `brow_outer` brow heights (smaller is higher); `brow_in` pulls it to the nose.
    """

    upper: Tensor
    lower: Tensor
    slant: Tensor
    brow_inner: Tensor
    brow_outer: Tensor
    brow_in: Tensor
    brow_bend: Tensor


def shape_eyes(identity: Identity, actions: dict[str, Tensor]) -> EyeShape:
    """AU5 opens the upper lid, AU6 and AU7 push the lower one up, AU43 closes; AU1, AU2, AU4 move the brow."""
    a = actions
    opening, base = identity.eye_opening, identity.brow_height
    upper = opening * (1 + 0.55 * a["AU5"] - 0.10 * a["AU6"] - 0.20 * a["AU7"] - 0.25 * a["AU9"]).clamp(min=0.35)
    lower = opening * (0.72 + 0.10 * a["AU5"] - 0.50 * a["AU6"] - 0.32 * a["AU7"] - 0.20 * a["AU9"])
    close, raised, knit = a["AU43"].clamp(max=1), a["AU1"].clamp(max=1), a["AU4"].clamp(max=1)
    oblique = 0.045 * a["AU1"] * (1 - a["AU2"]).clamp(min=0)
    return EyeShape(
        upper=upper * (1 - close) - lower * close + 0.006 * close,
        lower=lower,
        slant=0.60 * opening * (a["AU1"] * 0.6 - a["AU4"] * (1 - 0.7 * raised)),
        brow_inner=base - 0.110 * a["AU1"] + 0.095 * a["AU4"] * (1 - 0.55 * raised) + 0.02 * a["AU9"],
        brow_outer=base + identity.brow_tilt - 0.095 * a["AU2"] + 0.020 * a["AU4"] + oblique,
        brow_in=0.035 * a["AU4"],
        brow_bend=identity.brow_arch * (1 - 0.5 * knit) + 0.030 * a["AU2"],
    )


def draw_eyes(canvas: Canvas, identity: Identity, eye: EyeShape, scene: Scene) -> None:
    """Paint both eyes: white, iris, pupil, glint, lashes and the crease of the lid."""
    part = canvas.take(_EYES)
    side = part.x.sign()
    x = part.x.abs().sub_(identity.eye_gap)
    y = (part.y - EYE_LINE).sub_(x * identity.eye_tilt)
    across = x * (1 / identity.eye_width)
    arch = 1 - across.square()
    lid_up = (across * eye.slant).sub_(eye.upper).mul_(arch)
    lid_low = arch * eye.lower
    under_lid = y - lid_up
    opening = part.inside(torch.minimum(torch.minimum(under_lid, lid_low - y), arch.mul_(0.1)).mul_(0.9))
    shadow = ramp(under_lid, 0.0, 0.05).mul_(0.30).add_(0.70)
    part.paint(opening, _WHITE * shadow[:, None])
    dx, dy = x.sub_(side * scene.gaze_x), y + (0.006 - scene.gaze_y)
    radius = dx.square().add_(dy.square()).sqrt_()
    ring, pupil = part.inside(0.062 - radius), part.inside(0.033 - radius)
    tone = ring.mul_(0.70).add_(0.45).mul_(1 - pupil.mul_(0.95)).mul_(shadow)
    part.paint(part.inside(0.074 - radius).mul_(opening), identity.iris * tone[:, None])
    glint = dx.add_(side.mul_(0.024)).square_().add_(dy.add_(0.026).square_()).sqrt_()
    part.paint(part.inside(0.019 - glint).mul_(opening), _WHITE)
    _draw_lids(part, identity, across, under_lid, y.sub_(lid_low))
    canvas.put(part, _EYES)


def _draw_lids(part: Patch, identity: Identity, across: Tensor, under_lid: Tensor, below: Tensor) -> None:
    """Lash line, crease and lower lid. `under_lid`, `below` are distances from the upper and lower lid."""
    ends = part.inside((1.10 - across.square()).mul_(0.07))
    low = bump(below.sub_(0.008), 0.022).mul_(ends).mul_(0.35)
    crease = bump(under_lid + 0.048, 0.020).mul_(bump(across, 1.05)).mul_(0.50)
    part.paint(torch.maximum(low, crease), identity.skin * 0.48)
    lash = part.inside(0.011 + 0.009 * identity.lashes - under_lid.abs_()).mul_(ends)
    part.paint(lash.mul_(0.92), _BLACK + identity.hair * 0.15)


def draw_brows(canvas: Canvas, identity: Identity, eye: EyeShape) -> None:
    """Paint both brows: tapered strokes from their inner to their outer ends."""
    part = canvas.take(_BROWS)
    t = (part.x.abs() + (eye.brow_in - identity.eye_gap + 0.165)).mul_(1 / 0.345)
    rest = 1 - t
    bent = (t * rest).mul_(4 * eye.brow_bend)
    above = (part.y - eye.brow_inner).sub_(t * (eye.brow_outer - eye.brow_inner)).add_(bent)
    thickness = identity.brow_thickness * (1.10 - 0.55 * t.square())
    ends = torch.minimum(t, rest).mul_(0.345).add_(0.3 * identity.brow_thickness)
    mask = part.inside(torch.minimum(thickness.sub_(above.abs_()), ends))
    part.paint(mask.mul_(0.90), identity.hair * 0.70 + identity.skin * 0.06)
    canvas.put(part, _BROWS)


def draw_glasses(canvas: Canvas, identity: Identity) -> None:
    """Paint rounded glasses with bridge, temples and a reflection, for those who wear them."""
    some = chosen(identity.glasses)
    part, size, gap = canvas.take(_GLASSES, some), identity.glasses_size[some], identity.eye_gap[some]
    x = part.x.abs().sub_(gap + 0.005)
    y = part.y - (EYE_LINE + 0.015)
    form = (x * (4.88 / size)).square_().add_((y * (5.88 / size)).square_()).clamp_(max=4)
    distance = (1 - form).mul_(0.09)
    reflection = bump(x + y * 0.5 + 0.05, 0.035).mul_(0.35).add_(0.08)
    part.paint(part.inside(distance).mul_(reflection), _WHITE)
    bar = 0.014 - (y + 0.05).abs()
    bridge = torch.minimum(bar, -0.19 * size - x)
    temple = torch.minimum(bar, torch.minimum(x - 0.205 * size, 0.60 - gap - x))
    frame = torch.maximum(0.015 - distance.abs(), torch.maximum(bridge, temple))
    part.paint(part.inside(frame), _FRAME)
    canvas.put(part, _GLASSES, some)
