"""The mouth: lips, corners, teeth and tongue. n samples in a chunk."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .canvas import Canvas, Patch, bump, ramp
from .identity import Identity
from .keyed_draws import ParameterTable

_LIP = torch.tensor([0.74, 0.25, 0.27]).reshape(3, 1, 1)
_DARK = torch.tensor([0.21, 0.06, 0.06]).reshape(3, 1, 1)
_TONGUE = torch.tensor([0.74, 0.33, 0.33]).reshape(3, 1, 1)
_MOUTH = (-0.66, 0.13, 0.66, 0.96)
_TEETH = torch.tensor([0.96, 0.94, 0.89]).reshape(3, 1, 1)


@dataclass(frozen=True)
class MouthShape(ParameterTable):
    """Geometry of the mouth in feature coordinates, y downwards. All (n, 1, 1).

    `left_y`, `right_y` heights of the corners (smaller is higher); `upper`, `lower` outer edges of the
    lips at the middle; `gap_up`, `gap_down` how far the lips open from the mouth line; `lip_up`,
    `lip_down` thickness; `square` 0 is a rounded opening, 1 an angular one.
    """

    height: Tensor
    width: Tensor
    left_y: Tensor
    right_y: Tensor
    left_x: Tensor
    right_x: Tensor
    gap_up: Tensor
    gap_down: Tensor
    lip_up: Tensor
    lip_down: Tensor
    square: Tensor
    press: Tensor

    @property
    def upper(self) -> Tensor:
        """Outer edge of the upper lip at the middle."""
        return self.height - self.gap_up - self.lip_up

    @property
    def lower(self) -> Tensor:
        """Outer edge of the lower lip at the middle."""
        return self.height + self.gap_down + self.lip_down


def shape_mouth(identity: Identity, actions: dict[str, Tensor]) -> MouthShape:
    """Geometry of the mouth for these action units.

    AU12 lifts and widens the corners, AU14 tucks them, AU15 lowers them, AU20 stretches sideways,
    AU10 raises the upper lip, AU16 lowers the lower one, AU17 pushes the chin up, AU23 tightens,
    AU25 parts the lips, AU26 drops the jaw.
    """
    a = actions
    smile = (a["AU12L"] + a["AU12R"]) / 2
    droop = 0.075 * a["AU15"] + 0.030 * a["AU20"] - identity.mouth_rest
    middle = identity.mouth_height + 0.018 * smile - 0.020 * a["AU17"] - 0.012 * a["AU15"] - 0.015 * a["AU10"]
    wider = 0.11 * a["AU20"] - 0.025 * a["AU23"] - 0.030 * a["AU17"] - 0.055 * a["AU26"] - 0.012 * a["AU15"]
    thin = (1 - 0.55 * a["AU23"] - 0.22 * smile - 0.25 * a["AU20"]).clamp(min=0.25)
    apart = 0.040 * a["AU25"]
    return MouthShape(
        height=middle,
        width=identity.mouth_width + wider + 0.045 * smile,
        left_y=middle + droop - 0.105 * a["AU12L"] - 0.030 * a["AU14L"],
        right_y=middle + droop - 0.105 * a["AU12R"] - 0.030 * a["AU14R"],
        left_x=0.050 * a["AU12L"] + 0.025 * a["AU14L"],
        right_x=0.050 * a["AU12R"] + 0.025 * a["AU14R"],
        gap_up=0.5 * apart + 0.030 * a["AU10"] * (0.35 + a["AU25"]) + 0.030 * a["AU26"],
        gap_down=apart * (1 + 1.1 * smile) + 0.030 * a["AU16"] * (0.2 + a["AU25"]) + 0.165 * a["AU26"],
        lip_up=identity.lip_fullness * 0.80 * thin * (1 - 0.20 * a["AU10"]),
        lip_down=identity.lip_fullness * 1.15 * thin * (1 + 0.25 * a["AU17"] * (1 - a["AU23"]).clamp(min=0)),
        square=(0.9 * a["AU20"] + 0.6 * a["AU16"] + 0.5 * a["AU10"]).clamp(0, 1),
        press=(0.4 * a["AU17"] + a["AU23"]).clamp(0, 1),
    )


def draw_mouth(canvas: Canvas, identity: Identity, mouth: MouthShape) -> None:
    """Paint lips, the open mouth with teeth and tongue, and the line from corner to corner."""
    part = canvas.take(_MOUTH)
    right = ramp(part.x, -0.12, 0.12)
    half_width = right * (mouth.right_x - mouth.left_x) + (mouth.left_x + mouth.width)
    across = part.x / half_width
    x2 = across.square().clamp_(max=1.7)
    rest = 1 - x2
    arch = (x2 * mouth.square).add_(1).mul_(rest)
    lift = (right * (mouth.right_y - mouth.left_y)).add_(mouth.left_y - mouth.height)
    y = (part.y - mouth.height).sub_(lift.mul_(x2))
    top, bottom = arch * -mouth.gap_up, arch * mouth.gap_down
    thick = bump(across, 0.22).mul_(-0.30).add_(1).mul_(arch).mul_(mouth.lip_up)
    ends = rest * 0.13
    lips = torch.minimum(torch.minimum(y - top + thick, bottom - y + rest * mouth.lip_down), ends)
    light = ramp(-y, -0.01, 0.03).mul_(-0.22).add_(1.06)
    part.paint(part.inside(lips), _lip_colour(identity) * light[:, None])
    gap = mouth.gap_up + mouth.gap_down
    opening = part.inside(torch.minimum(torch.minimum(y - top, bottom - y), ends)).mul_(ramp(gap, 0.006, 0.022))
    part.paint(opening, _inner_mouth(part, mouth, y, top, bottom, x2))
    line = torch.minimum(0.012 + 0.006 * mouth.press - y.abs(), ends + 0.008)
    weight = torch.maximum(ramp(gap, 0.03, 0.006), ramp(x2, 0.6, 0.9)).mul_(0.60).add_(0.25)
    part.paint(part.inside(line).mul_(weight), _DARK * 0.9 + identity.skin * 0.12)
    canvas.put(part, _MOUTH)


def _lip_colour(identity: Identity) -> Tensor:
    red = (0.30 + 0.45 * identity.lip_red)[:, None]
    return identity.skin * (0.82 - 0.54 * red) + _LIP * (0.7 * red)


def _inner_mouth(part: Patch, mouth: MouthShape, y: Tensor, top: Tensor, bottom: Tensor, x2: Tensor) -> Tensor:
    """Colours inside an open mouth: upper teeth, sometimes lower teeth, tongue, dark. (n, 3, h, w)."""
    gap = mouth.gap_up + mouth.gap_down
    above = y - bottom
    tongue = ramp(above, -0.10, -0.02).mul_(ramp(gap, 0.08, 0.16))
    teeth = part.inside(top - y + (gap * 0.75).clamp(max=0.060))
    lower = part.inside(above + 0.030).mul_(mouth.square * ramp(gap, 0.03, 0.06))
    bright = torch.maximum(teeth, lower).mul_(x2.mul(-0.35).add_(1))
    return (_TONGUE - _DARK) * tongue.mul_(1 - bright)[:, None] + (_TEETH - _DARK) * bright[:, None] + _DARK
