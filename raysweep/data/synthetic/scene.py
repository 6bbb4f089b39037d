"""The scene of a picture: pose, light, occlusion, blur, noise and background. N samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .keyed_draws import Draws, ParameterTable, hex_colours, mix_palette

_BACKDROP = hex_colours("c9d6df", "e3dccf", "b8c4b1", "d9c2b8", "a9b3c9", "e8e4da")
_WILD = hex_colours("22303c", "5b6b4d", "8c5a3c", "c7b299", "6f7f94", "d8d8d0", "3a2a2e", "7fa3a8")

NO_OCCLUSION, BAR, SCARF, HAND = 0, 1, 2, 3


@dataclass(frozen=True)
class Scene(ParameterTable):
    """Everything that is neither the person nor the expression; all draws scale with `nuisance`."""

    roll: Tensor
    zoom: Tensor
    shift_x: Tensor
    shift_y: Tensor
    yaw: Tensor
    pitch: Tensor
    light_x: Tensor
    light_y: Tensor
    exposure: Tensor
    contrast: Tensor
    white: Tensor
    blur: Tensor
    noise: Tensor
    grain: Tensor
    backdrop: Tensor
    backdrop_far: Tensor
    backdrop_x: Tensor
    backdrop_y: Tensor
    gaze_x: Tensor
    gaze_y: Tensor
    occluder: Tensor
    occluder_x: Tensor
    occluder_y: Tensor
    occluder_colour: Tensor


def draw_scene(indices_N: Tensor, seed: int, nuisance: float) -> Scene:
    """The scenes of N pictures, a pure function of (seed, index, nuisance).

    `nuisance` 0 is a frontal studio portrait, 1 is the data set; values between scale pose, light,
    blur, noise and the chance of an occlusion.
    """
    draws = Draws(seed, "scene", indices_N)
    n = nuisance
    colours = [draws.bell(f"white {channel}", 1.0, 0.030 * n) for channel in "rgb"]
    studio = mix_palette(_BACKDROP, draws.between("studio", 0, 1))
    wild = [mix_palette(_WILD, draws.between(f"backdrop {end}", 0, 1)) for end in ("near", "far")]
    occluded = draws.chance("occluded", 0.05 * n)
    return Scene(
        roll=draws.bell("roll", 0, 0.055 * n),
        zoom=1.0 + draws.bell("zoom", 0.06, 0.030) * n,
        shift_x=draws.bell("shift x", 0, 0.020 * n),
        shift_y=draws.bell("shift y", 0, 0.020 * n),
        yaw=draws.bell("yaw", 0, 0.042 * n),
        pitch=draws.bell("pitch", 0, 0.022 * n),
        light_x=-0.10 * (1 - n) + draws.bell("light x", 0, 0.12 * n),
        light_y=-0.08 + draws.bell("light y", 0, 0.06 * n),
        exposure=draws.bell("exposure", 1.0, 0.08 * n),
        contrast=draws.bell("contrast", 0.0, 0.13 * n),
        white=torch.stack(colours, 1),
        blur=draws.between("blur", -0.35, 0.50).clamp(min=0) * n,
        noise=draws.between("noise", 0.003, 0.022) * n,
        grain=draws.between("grain", 0, 1),
        backdrop=torch.lerp(studio, wild[0], min(1.0, n)),
        backdrop_far=torch.lerp(studio * 0.90, wild[1], min(1.0, n)),
        backdrop_x=draws.between("backdrop x", -0.5, 0.5) * n,
        backdrop_y=0.4 + draws.between("backdrop y", -0.4, 0.2) * n,
        gaze_x=draws.bell("gaze x", 0, 0.012 * n),
        gaze_y=draws.bell("gaze y", 0, 0.005 * n),
        occluder=occluded * draws.between("occluder", 1, 4).floor(),
        occluder_x=draws.between("occluder x", -1, 1),
        occluder_y=draws.between("occluder y", -1, 1),
        occluder_colour=mix_palette(_WILD, draws.between("occluder colour", 0, 1)),
    )
