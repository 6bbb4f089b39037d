"""People: everything about a face that does not depend on its expression. N samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .keyed_draws import Draws, ParameterTable, hex_colours, mix_palette

_SKIN = hex_colours("f6d9c6", "f0c8ab", "e6b592", "d69f78", "c08a5f", "a06d47", "7d5235", "5e3b28")
_HAIR_DARK = hex_colours("1d1715", "2b1d17", "3b261b", "533420", "6e4526")
_HAIR_LIGHT = hex_colours("5a3a22", "7c4a26", "a5682f", "c9974f", "dcc083", "a8492a")
_HAIR_GREY = hex_colours("77716d", "a9a5a1", "d4d1cd")
_IRIS = hex_colours("3a2517", "4e321d", "6b4a26", "7a7a3c", "5c8267", "5d8aa8", "6d8494")
_CLOTH = hex_colours("2f4b6e", "6b8fa8", "a3483f", "d9a441", "4f6b52", "8a6f9e", "d8d3c8", "3a3a44", "c77b6a")

# rows of head._STYLES: 0 short, 1 side parting, 2 bob, 3 long, 4 afro, 5 cropped, 6 tied back
_STYLE_OF_MEN = (0, 0, 0, 1, 1, 1, 5, 5, 5, 4, 0, 3)
_STYLE_OF_WOMEN = (3, 3, 3, 3, 2, 2, 2, 2, 6, 6, 4, 1)


@dataclass(frozen=True)
class Identity(ParameterTable):
    """Parameters of N people: lengths in half-canvas units, colours sRGB in [0, 1], shares in [0, 1]."""

    skin: Tensor
    hair: Tensor
    iris: Tensor
    cloth: Tensor
    head_width: Tensor
    head_height: Tensor
    jaw_taper: Tensor
    jaw_square: Tensor
    ear: Tensor
    hair_style: Tensor
    hair_volume: Tensor
    bald: Tensor
    brow_thickness: Tensor
    brow_height: Tensor
    brow_arch: Tensor
    brow_tilt: Tensor
    eye_gap: Tensor
    eye_width: Tensor
    eye_opening: Tensor
    eye_tilt: Tensor
    nose_width: Tensor
    nose_length: Tensor
    mouth_width: Tensor
    mouth_height: Tensor
    mouth_rest: Tensor
    lip_fullness: Tensor
    lip_red: Tensor
    lashes: Tensor
    beard: Tensor
    moustache: Tensor
    glasses: Tensor
    glasses_size: Tensor
    age: Tensor


def draw_identity(identities_N: Tensor, seed: int) -> Identity:
    """The people of N identity numbers, a pure function of (seed, identity)."""
    draws = Draws(seed, "identity", identities_N)
    man = draws.chance("man", 0.5)
    age = draws.between("age", 0, 1)
    tone = draws.between("skin tone", 0, 1)
    skin = mix_palette(_SKIN, tone) + draws.bell("skin warmth", 0, 0.012)[:, None] * torch.tensor([1.0, 0.0, -1.0])
    bearded = man * draws.chance("beard", 0.35)
    moustached = torch.maximum(bearded, man * draws.chance("moustache", 0.10))
    return Identity(
        skin=skin,
        hair=_hair_colour(draws, tone, age > 0.86),
        iris=_iris_colour(draws, tone),
        cloth=mix_palette(_CLOTH, draws.between("cloth", 0, 1)),
        head_width=draws.bell("head width", 0.590, 0.028) + 0.012 * man,
        head_height=draws.bell("head height", 0.80, 0.025),
        jaw_taper=draws.bell("jaw taper", 0.20, 0.06) - 0.08 * man,
        jaw_square=draws.bell("jaw square", 0.30, 0.15) + 0.25 * man,
        ear=draws.bell("ear", 1.0, 0.12),
        hair_style=_hair_style(draws, man),
        hair_volume=draws.bell("hair volume", 1.0, 0.018),
        bald=man * draws.chance("bald", 0.05 + 0.15 * age),
        brow_thickness=draws.bell("brow thickness", 0.029, 0.006) + 0.014 * man,
        brow_height=draws.bell("brow height", -0.335, 0.014) + 0.020 * man,
        brow_arch=draws.bell("brow arch", 0.040, 0.014) - 0.012 * man,
        brow_tilt=draws.bell("brow tilt", 0.0, 0.012),
        eye_gap=draws.bell("eye gap", 0.262, 0.014),
        eye_width=draws.bell("eye width", 0.150, 0.009),
        eye_opening=draws.bell("eye opening", 0.072, 0.008),
        eye_tilt=draws.bell("eye tilt", -0.05, 0.06),
        nose_width=draws.bell("nose width", 0.115, 0.017) + 0.012 * man,
        nose_length=draws.bell("nose length", 0.225, 0.022),
        mouth_width=draws.bell("mouth width", 0.258, 0.020),
        mouth_height=draws.bell("mouth height", 0.450, 0.014),
        mouth_rest=draws.bell("mouth rest", 0.0, 0.010),
        lip_fullness=draws.bell("lip fullness", 0.046, 0.009) - 0.010 * man + 0.012 * tone,
        lip_red=draws.bell("lip red", 0.65, 0.15) - 0.30 * man,
        lashes=1 - man,
        beard=bearded * draws.between("beard density", 0.25, 0.95),
        moustache=moustached * draws.between("moustache density", 0.3, 0.95),
        glasses=draws.chance("glasses", 0.20),
        glasses_size=draws.bell("glasses size", 1.0, 0.08),
        age=age,
    )


def _hair_style(draws: Draws, man_N: Tensor) -> Tensor:
    pick = draws.between("hair style", 0, len(_STYLE_OF_MEN)).floor().long()
    return torch.where(man_N > 0, torch.tensor(_STYLE_OF_MEN)[pick], torch.tensor(_STYLE_OF_WOMEN)[pick])


def _hair_colour(draws: Draws, tone_N: Tensor, old_N: Tensor) -> Tensor:
    place = draws.between("hair colour", 0, 1)
    light = draws.chance("light hair", (0.75 - 1.1 * tone_N).clamp(0.02, 1))[:, None]
    colour = torch.where(light > 0, mix_palette(_HAIR_LIGHT, place), mix_palette(_HAIR_DARK, place))
    return torch.where(old_N[:, None], mix_palette(_HAIR_GREY, place), colour)


def _iris_colour(draws: Draws, tone_N: Tensor) -> Tensor:
    return mix_palette(_IRIS, draws.between("iris", 0, 1) * (1.05 - 1.4 * tone_N).clamp(0.25, 1))
