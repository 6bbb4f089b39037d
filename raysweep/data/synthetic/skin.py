"""Nose, folds, wrinkles, cheeks and beard, by action units. n samples in a chunk.

Nearly all of it only changes the brightness of the skin (`Canvas.shade`), one number a pixel, before the
head is coloured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .canvas import Canvas, blob, bump, chosen, ramp
from .identity import Identity
from .keyed_draws import ParameterTable
from .mouth import MouthShape
from .scene import Scene

_NOSE = (-0.40, -0.44, 0.40, 0.50)
_CHEEKS = (-0.66, -0.08, 0.66, 0.96)
_FOREHEAD = (-0.64, -0.74, 0.64, 0.06)
_BLUSH = (-0.70, -0.08, 0.70, 0.44)
_BEARD = (-0.74, -0.12, 0.74, 1.0)
_RED = torch.tensor([0.86, 0.30, 0.28]).reshape(3, 1, 1)


@dataclass(frozen=True)
class SkinShape(ParameterTable):
    """The nose, and the depth of folds and lines. All (n, 1, 1)."""

    nose_width: Tensor
    nose_tip: Tensor
    nose_wrinkle: Tensor
    fold_left: Tensor
    fold_right: Tensor
    smile: Tensor
    cheek: Tensor
    lid_fold: Tensor
    dimple_left: Tensor
    dimple_right: Tensor
    chin: Tensor
    forehead: Tensor
    forehead_reach: Tensor
    forehead_bend: Tensor
    frown: Tensor


def shape_skin(identity: Identity, actions: dict[str, Tensor]) -> SkinShape:
    """Nose and folds for these action units: AU9 and AU10 pull the wings of the nose up and apart."""
    a = actions
    smile = (a["AU12L"] + a["AU12R"]) / 2
    lasting = 0.02 + 0.09 * identity.age + 0.26 * a["AU9"] + 0.26 * a["AU10"]
    raised = torch.maximum(a["AU1"] * 0.8, a["AU2"])
    return SkinShape(
        nose_width=identity.nose_width * (1 + 0.18 * a["AU9"] + 0.10 * smile),
        nose_tip=identity.nose_length - 0.045 * a["AU9"] - 0.015 * a["AU10"],
        nose_wrinkle=0.40 * a["AU9"],
        fold_left=(lasting + 0.20 * a["AU12L"]).clamp(max=0.42),
        fold_right=(lasting + 0.20 * a["AU12R"]).clamp(max=0.42),
        smile=smile,
        cheek=0.05 + 0.10 * a["AU6"],
        lid_fold=0.18 * a["AU6"] + 0.10 * a["AU7"],
        dimple_left=0.50 * a["AU14L"],
        dimple_right=0.50 * a["AU14R"],
        chin=a["AU17"],
        forehead=0.28 * raised + 0.08 * (identity.age - 0.5).clamp(min=0),
        forehead_reach=0.20 + 0.20 * a["AU2"],
        forehead_bend=0.10 * (a["AU2"] - 0.8 * a["AU1"]),
        frown=0.50 * a["AU4"],
    )


def draw_nose(canvas: Canvas, skin: SkinShape, scene: Scene) -> None:
    """Bridge, tip, wings and nostrils, and the wrinkles of AU9 across the bridge."""
    x, y = canvas.crop(canvas.fu, _NOSE), canvas.crop(canvas.fv, _NOSE)
    mirrored, below = x.abs(), y - skin.nose_tip
    bridge = ramp(y, -0.30, -0.10).mul_(ramp(below, 0.02, -0.08))
    side = bump(mirrored - skin.nose_width * 0.42, 0.07).mul_(x * (-6.0 * scene.light_x) + 0.02)
    dark = side.sub_(bump(x, 0.055).mul_(0.06)).mul_(bridge)
    dark.sub_(blob(x, below + 0.02, skin.nose_width * 0.75, 0.09).mul_(0.07))
    dark.add_(blob(mirrored - skin.nose_width, below - 0.005, 0.035, 0.07).mul_(0.22))
    dark.add_(blob(x, below - 0.065, skin.nose_width * 1.05, 0.045).mul_(0.26))
    dark.add_(blob(mirrored - skin.nose_width * 0.52, below - 0.045, 0.050, 0.030).mul_(0.60))
    ridge = (mirrored * 0.35).add_(y).add_(0.105)
    wrinkles = bump(ridge, 0.020).add_(bump(ridge + 0.065, 0.020)).add_(bump(ridge - 0.065, 0.020))
    canvas.darken(_NOSE, dark.add_(wrinkles.mul_(bump(x, 0.12)).mul_(skin.nose_wrinkle)))


def draw_folds(canvas: Canvas, skin: SkinShape, mouth: MouthShape) -> None:
    """The folds from nose to mouth, cheeks, chin and dimples."""
    x, y = canvas.crop(canvas.fu, _CHEEKS), canvas.crop(canvas.fv, _CHEEKS)
    right = (x > 0).float()
    x = x.abs_()
    top = skin.nose_tip - 0.02
    place = (y - top).mul_(1 / (mouth.height + 0.02 - top))
    bow = (1 - place).mul_(0.10 + 0.12 * skin.smile).add_(mouth.width * 0.62 + 0.05 * skin.smile).mul_(place)
    fold = bump(x - skin.nose_width - 0.035 - bow, 0.045)
    fold.mul_(bump(place - 0.5, 0.66)).mul_(right * (skin.fold_right - skin.fold_left) + skin.fold_left)
    dark = fold.mul_(1.3).sub_(blob(x - 0.36, y - 0.17 + 0.05 * skin.smile, 0.20, 0.15).mul_(skin.cheek))
    bag = (x - 0.30).square_().mul_(-0.30).add_(y).sub_(0.055)
    dark.add_(bump(bag, 0.028).mul_(bump(x - 0.28, 0.17)).mul_(skin.lid_fold))
    corner = right * (mouth.right_y - mouth.left_y) + mouth.left_y
    dimple = right * (skin.dimple_right - skin.dimple_left) + skin.dimple_left
    dark.add_(blob(x - mouth.width * 1.06 - 0.055, y - corner, 0.045, 0.075).mul_(dimple))
    below = y - mouth.lower - 0.05
    dark.add_(blob(x, below, mouth.width * 0.75, 0.05).mul_(0.16 + 0.14 * skin.chin))
    dark.sub_(blob(x, below - 0.11, 0.14, 0.09).mul_(0.06 + 0.07 * skin.chin))
    canvas.darken(_CHEEKS, dark)


def draw_forehead(canvas: Canvas, identity: Identity, skin: SkinShape) -> None:
    """Horizontal lines of raised brows (AU1, AU2), frown lines (AU4), crow's feet (AU6)."""
    x, y = canvas.crop(canvas.fu, _FOREHEAD), canvas.crop(canvas.fv, _FOREHEAD)
    mirrored = x.abs()
    line = y - mirrored * skin.forehead_bend
    lines = bump(line + 0.610, 0.018).add_(bump(line + 0.545, 0.018))
    dark = lines.mul_(bump(x, skin.forehead_reach)).mul_(skin.forehead)
    frown = bump(mirrored - 0.05, 0.018).mul_(bump(y + 0.335, 0.13)).add_(blob(x, y + 0.30, 0.13, 0.10).mul_(0.25))
    dark.add_(frown.mul_(skin.frown))
    dark.add_(blob(mirrored - 0.26, y + 0.20, 0.22, 0.10).mul_(0.08 + 0.20 * skin.frown))
    fan, outward = y + 0.12, mirrored - 0.47
    feet = bump(fan - outward * 0.25, 0.014).add_(bump(fan + outward * 0.30 - 0.02, 0.014))
    canvas.darken(_FOREHEAD, dark.add_(feet.mul_(bump(outward, 0.06)).mul_(skin.lid_fold * 1.3)))


def draw_blush(canvas: Canvas, identity: Identity) -> None:
    """A little red on the cheeks."""
    part = canvas.take(_BLUSH)
    mask = blob(part.x.abs() - 0.35, part.y - 0.17, 0.20, 0.15).mul_(0.10 + 0.08 * identity.lashes)
    part.paint(mask, identity.skin * 0.55 + _RED * 0.40)
    canvas.put(part, _BLUSH)


def draw_beard(canvas: Canvas, identity: Identity, mouth: MouthShape, head_mask: Tensor) -> None:
    """Beard along the jaw and moustache above the lip, for those who have them; painted before the mouth."""
    some = chosen(identity.moustache)
    part, lips = canvas.take(_BEARD, some), mouth.rows(some)
    hair, skin = identity.hair[some], identity.skin[some]
    x, y = part.x.abs(), part.y
    x2 = x.square()
    jaw = ramp(y + x2 * 0.55, 0.40, 0.60).add_(ramp(x, 0.40, 0.56).mul_(ramp(y, 0.0, 0.2))).clamp_(max=1)
    bare = blob(x, y - lips.height, lips.width * 1.35, 0.16)
    beard = jaw.mul_(1 - bare).mul_(identity.beard[some])
    over = (y - lips.upper + 0.035).sub_(x2 * 0.18)
    moustache = bump(over, 0.055).mul_(ramp(x, lips.width * 1.25, lips.width * 0.95)).mul_(identity.moustache[some])
    mask = torch.maximum(beard, moustache).mul_(canvas.crop(head_mask, _BEARD, some)).mul_(0.92)
    part.paint(mask, hair * 0.85 + skin * 0.05)
    canvas.put(part, _BEARD, some)
