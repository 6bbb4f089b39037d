"""Background, shoulders, head outline and hair. n samples in a chunk; see `Canvas` for coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .canvas import Canvas, bump, chosen, ramp, soft_edge
from .identity import Identity
from .keyed_draws import ParameterTable
from .scene import Scene

_CENTRE = 0.02
_SHADOW_TINT = (0.16, 0.0, -0.06)
"""Shadows on skin are redder than a plain dark copy of it."""
_SHOULDERS = (-1.0, 0.58, 1.0, 1.0)


@dataclass(frozen=True)
class HairShape(ParameterTable):
    """The haircut, in head coordinates. All (n, 1, 1).

    `volume` of the cap relative to the head; `line` height of the hairline; `opening` half-width of
    the face; `side` where the hair at the sides ends; `back_width`, `back_end` of the hair behind the
    head (width 0 for none); `slant` of the fringe.
    """

    volume: Tensor
    line: Tensor
    opening: Tensor
    side: Tensor
    back_width: Tensor
    back_end: Tensor
    slant: Tensor


_STYLES = torch.tensor(
    [
        (1.08, -0.56, 0.565, -0.08, 0.00, -0.30, 0.10),  # short
        (1.13, -0.52, 0.55, -0.12, 0.00, -0.30, 0.35),  # side parting
        (1.12, -0.45, 0.50, 0.42, 0.72, 0.52, 0.06),  # bob
        (1.13, -0.56, 0.50, 0.70, 0.74, 1.30, 0.20),  # long
        (1.30, -0.54, 0.55, -0.02, 0.82, 0.20, 0.00),  # afro
        (1.03, -0.62, 0.60, -0.20, 0.00, -0.30, 0.00),  # cropped
        (1.07, -0.62, 0.575, -0.10, 0.00, -0.30, 0.15),  # tied back
    ]
)


def shape_hair(identity: Identity) -> HairShape:
    """The haircut of a person."""
    volume, line, opening, side, back_width, back_end, slant = _STYLES[identity.hair_style].unbind(-1)
    return HairShape(volume * identity.hair_volume, line, opening, side, back_width, back_end, slant)


@dataclass(frozen=True)
class HeadShape(ParameterTable):
    """The outline: half-width, top and bottom half-heights, how the jaw narrows, ears. All (n, 1, 1)."""

    width: Tensor
    top: Tensor
    bottom: Tensor
    taper: Tensor
    square: Tensor
    ear: Tensor


def shape_head(identity: Identity, hair: HairShape, actions: dict[str, Tensor]) -> HeadShape:
    """Head outline of a person; a dropped jaw (AU26) lengthens it, hair at the sides hides the ears."""
    return HeadShape(
        width=identity.head_width,
        top=identity.head_height + 0.02,
        bottom=identity.head_height + 0.075 * actions["AU26"],
        taper=identity.jaw_taper,
        square=identity.jaw_square,
        ear=torch.where(hair.side > 0.3, 0.3, identity.ear),
    )


def draw_backdrop(canvas: Canvas, scene: Scene, x: Tensor, y: Tensor) -> None:
    """Fill the picture with a two-colour gradient. `x` (1, 1, w) and `y` (1, h, 1) are picture coordinates."""
    mix = (scene.backdrop_x * x + scene.backdrop_y * y).add_(0.5).clamp_(0, 1)
    torch.mul(mix[:, None], scene.backdrop_far - scene.backdrop, out=canvas.pixels)
    canvas.pixels.add_(scene.backdrop)


def draw_shoulders(canvas: Canvas, identity: Identity, head: HeadShape) -> None:
    """Neck in the chin's shadow, and clothes."""
    part = canvas.take(_SHOULDERS)
    u, v = canvas.crop(canvas.u, _SHOULDERS), canvas.crop(canvas.v, _SHOULDERS)
    neck = part.inside((v - 0.75).clamp_(min=0).mul_(0.16).add_(head.width * 0.60).sub_(u.abs()))
    shadow = ramp(v, head.bottom + 0.02, head.bottom + 0.22).mul_(0.24).add_(0.64)
    part.paint(neck, identity.skin * shadow[:, None])
    across = u.square_()
    collar = (v - 0.88).sub_(across * 0.05).sub_((1 - across * 6).clamp_(min=0).mul_(0.09))
    part.paint(part.inside(collar), identity.cloth * (0.80 + 0.35 * (1 - across * 0.6))[:, None])
    canvas.put(part, _SHOULDERS)


def draw_head(canvas: Canvas, identity: Identity, head: HeadShape, scene: Scene) -> Tensor:
    """Paint the skin of head and ears, shaded by `canvas.shade` and the light.

    Returns:
        Coverage of the head (n, h, w), for what may only be painted on the face.
    """
    u, v = canvas.u, canvas.v - _CENTRE
    below2 = v.clamp(min=0).mul_(1 / head.bottom).square_()
    above2 = v.clamp(max=0).mul_(1 / head.top).square_()
    narrowing = (below2 * (head.taper * 1.25)).add_(1).mul_(1 / head.width)
    upright = (below2 * head.square).add_(1 - head.square).mul_(below2).add_(above2)
    form = (u * narrowing).square_().add_(upright)
    mask = soft_edge((1 - form).mul_(0.5 * head.width), canvas.sharpness)
    ears = (u.abs().sub_(head.width * 0.99)).mul_(12.0 / head.ear).square_()
    ears.add_((v + 0.03).mul_(6.7 / head.ear).square_())
    skin = torch.maximum(mask, soft_edge((1 - ears).mul_(0.05), canvas.sharpness))
    light = (u * (scene.light_x / head.width)).add_(v.mul_(scene.light_y / head.top)).add_(1.03)
    light.sub_(form.clamp_(max=1.6).square_().mul_(0.085)).mul_(canvas.shade.clamp_(0.12, 1.3))
    for channel, tint in enumerate(_SHADOW_TINT):
        colour = (light * (identity.skin[:, channel] * (1 - tint))).add_(identity.skin[:, channel] * tint)
        pixels = canvas.pixels[:, channel]
        pixels.add_(colour.sub_(pixels).mul_(skin))
    return mask


def draw_back_hair(canvas: Canvas, identity: Identity, hair: HairShape, head: HeadShape) -> None:
    """The hair behind head and neck, for the haircuts that have some."""
    some = chosen(hair.back_width)
    part, hair, width = canvas.take_whole(some), hair.rows(some), head.width[some]
    wide = hair.back_width * width / 0.59
    top = _CENTRE - head.top[some] * hair.volume * 1.06
    middle, half_height = (top + hair.back_end) / 2, (hair.back_end - top) / 2
    across = (part.x * (1 / wide)).square_()
    along = (part.y - middle).mul_(1 / half_height).square_()
    form = (across * 0.25).add_(0.75).mul_(across).add_(along.square_())
    part.paint(part.inside((1 - form).mul_(0.5 * wide)), identity.hair[some] * 0.72)
    canvas.put(part, some=some)


def draw_front_hair(canvas: Canvas, identity: Identity, hair: HairShape, head: HeadShape, face: Tensor) -> None:
    """The hair over forehead, temples and sides: a cap with an opening where there is face (n, h, w)."""
    u, v, fu, fv = canvas.u, canvas.v - _CENTRE, canvas.fu, canvas.fv
    cap = (u * (1 / (head.width * hair.volume))).square_()
    cap.add_((v.clamp(max=0).mul_(1 / (head.top * 0.985 * hair.volume))).square_())
    outer = (1 - cap).mul_(0.5 * head.width)
    opening = (fu * (0.59 / (hair.opening * head.width))).square_()
    slanted = fv - (fu * hair.slant).mul_(1 - fu.abs() * 0.6)
    opening.add_(slanted.clamp(max=0).mul_(1 / hair.line).square_().square_())
    opening.add_(slanted.clamp_(min=0).mul_(1 / (0.62 + hair.side.clamp(min=0))).square_())
    uncovered = torch.maximum(soft_edge(opening.sub_(1).mul_(0.28), canvas.sharpness), 1 - face)
    mask = soft_edge(torch.minimum(outer, hair.side - fv), canvas.sharpness).mul_(uncovered).mul_(1 - identity.bald)
    tone = _strands(u, canvas.v)
    canvas.pixels.add_((identity.hair * tone[:, None]).sub_(canvas.pixels).mul_(mask[:, None]))


def _strands(u: Tensor, v: Tensor) -> Tensor:
    """Brightness of the hair: strands and a band of gloss. Shape (n, h, w)."""
    along = (v * 4.0).add_(5.5).mul_(u).add_(32)
    wave = along.sub_(along.floor()).sub_(0.5).abs_().mul_(0.28).add_(0.82)
    return wave.add_(bump(v + 0.70, 0.22).mul_(0.24))
