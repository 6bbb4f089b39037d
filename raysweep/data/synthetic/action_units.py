"""Facial muscles moved by an affect: FACS action units (AU). N samples.

Class prototypes follow EMFACS (Ekman and Friesen, Facial Action Coding System, 1978; Friesen and
Ekman, EMFACS-7, 1983). L and R are the left and right side of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.data.expressions import EXPRESSIONS

from .affect import Affect
from .keyed_draws import Draws

ACTION_UNITS = (
    "AU1", "AU2", "AU4", "AU5", "AU6", "AU7", "AU9", "AU10", "AU12L", "AU12R",
    "AU14L", "AU14R", "AU15", "AU16", "AU17", "AU20", "AU23", "AU25", "AU26", "AU43",
)  # fmt: skip

PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"AU6": 0.9, "AU12L": 1.0, "AU12R": 1.0, "AU25": 0.8, "AU2": 0.1},
    "sadness": {"AU1": 1.0, "AU4": 0.30, "AU15": 1.0, "AU17": 0.6, "AU43": 0.12},
    "surprise": {"AU1": 0.9, "AU2": 1.0, "AU5": 0.9, "AU25": 0.4, "AU26": 1.0},
    "fear": {
        "AU1": 1.0, "AU2": 0.35, "AU4": 0.55, "AU5": 0.9, "AU7": 0.2, "AU16": 0.4,
        "AU20": 1.0, "AU25": 0.6, "AU26": 0.2,
    },
    "disgust": {"AU4": 0.45, "AU6": 0.3, "AU7": 0.6, "AU9": 1.0, "AU10": 1.0, "AU15": 0.45, "AU16": 0.3, "AU25": 0.25},
    "anger": {"AU4": 1.0, "AU5": 0.35, "AU7": 0.6, "AU10": 0.15, "AU15": 0.2, "AU17": 0.35, "AU23": 1.0},
    "contempt": {"AU12R": 1.0, "AU14R": 1.2, "AU4": 0.15, "AU7": 0.45, "AU17": 0.3, "AU43": 0.25},
}  # fmt: skip

_VARIANTS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"AU25": -0.8, "AU6": -0.2},
    "sadness": {"AU43": 0.25, "AU7": 0.2, "AU25": 0.1},
    "surprise": {"AU26": -0.35, "AU2": 0.1},
    "fear": {"AU26": 0.45, "AU20": -0.25},
    "disgust": {"AU9": -0.25, "AU25": 0.35, "AU16": 0.3, "AU17": 0.2},
    "anger": {"AU23": -0.9, "AU25": 0.9, "AU10": 0.5, "AU16": 0.5, "AU17": -0.3},
    "contempt": {"AU4": 0.2, "AU15": 0.1, "AU17": 0.3},
}
"""A second way to show the same class; each face lies somewhere between the two."""

_BLEND = 0.20
"""Share of an expression that is the raters' mixture of classes instead of the true class."""


def prototype_table(prototypes: dict[str, dict[str, float]]) -> Tensor:
    """Amplitude of each action unit in each expression. Shape (K, A) float32."""
    return torch.tensor([[prototypes[name].get(unit, 0.0) for unit in ACTION_UNITS] for name in EXPRESSIONS])


def expected_actions(affect: Affect) -> Tensor:
    """Action units of the average person: class prototype, ambiguity, and the affect point. Shape (N, A)."""
    table = prototype_table(PROTOTYPES)
    own = table[affect.expressions]
    blended = affect.rater_probs @ table
    strength = torch.where(affect.expressions == 0, 1.0, affect.intensity)[:, None]
    shown = strength * torch.lerp(own, blended, _BLEND)
    return (shown + _point_actions(affect.va)).clamp(0, 1.2)


def action_units(affect: Affect, indices_N: Tensor, seed: int) -> Tensor:
    """Action units of each sample, individual variation included.

    Returns:
        (N, A) float32 in [0, 1.2], columns in the order of `ACTION_UNITS`.
    """
    draws = Draws(seed, "actions", indices_N)
    variant = draws.between("variant", 0, 1) ** 2 * affect.intensity
    shift = variant[:, None] * prototype_table(_VARIANTS)[affect.expressions]
    gains = torch.stack([draws.bell(f"gain {unit}", 1.0, 0.22) for unit in ACTION_UNITS], 1)
    stray = torch.stack([draws.bell(f"stray {unit}", -0.08, 0.10) for unit in ACTION_UNITS], 1).clamp(min=0)
    units = (expected_actions(affect) + shift) * gains + stray
    return _mirror(units, draws.chance("mirror", 0.5)).clamp(0, 1.2)


def _point_actions(va_N2: Tensor) -> Tensor:
    """Action units by valence and arousal, the same for all classes."""
    pleasant, unpleasant = va_N2[:, 0].clamp(min=0), (-va_N2[:, 0]).clamp(min=0)
    awake, drowsy = va_N2[:, 1].clamp(min=0), (-va_N2[:, 1]).clamp(min=0)
    parts = {
        "AU12L": 0.25 * pleasant, "AU12R": 0.25 * pleasant, "AU6": 0.20 * pleasant,
        "AU15": 0.15 * unpleasant, "AU4": 0.15 * unpleasant,
        "AU5": 0.25 * awake, "AU25": 0.12 * awake, "AU43": 0.50 * drowsy,
    }  # fmt: skip
    nothing = torch.zeros_like(pleasant)
    return torch.stack([parts.get(unit, nothing) for unit in ACTION_UNITS], 1)


def _mirror(units_NA: Tensor, flip_N: Tensor) -> Tensor:
    """Swap left and right where `flip_N` is 1: a one-sided smile may sit on either side."""
    order = [ACTION_UNITS.index(_other_side(unit)) for unit in ACTION_UNITS]
    return torch.where(flip_N[:, None] > 0, units_NA[:, order], units_NA)


def _other_side(unit: str) -> str:
    return unit[:-1] + {"L": "R", "R": "L"}[unit[-1]] if unit[-1] in "LR" else unit
