"""The true affect of each face. N samples, K = 8 expressions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raysweep.data.expressions import EXPRESSIONS

from .keyed_draws import Draws, ParameterTable
from .raters import RaterModel, class_distributions, rater_probabilities

DEFAULT_RATERS = RaterModel()


@dataclass(frozen=True)
class Affect(ParameterTable):
    """The true affect of N samples.

    `expressions` (N,) int64, the true class; `va` (N, 2) float32, the true affect point;
    `intensity` (N,) float32 in [0.15, 1.2], how strongly the face shows it; `rater_probs` (N, K)
    float32, the probability that a rater names each expression.
    """

    expressions: Tensor
    va: Tensor
    intensity: Tensor
    rater_probs: Tensor


def affect_at(
    expressions_N: Tensor, va_N2: Tensor, expressivity_N: Tensor | None = None, raters: RaterModel = DEFAULT_RATERS
) -> Affect:
    """The affect of a given class at a given point, without any draw.

    Intensity grows with the distance of the point from the neutral mean, times the person's
    `expressivity_N` (about 1).
    """
    means, _ = class_distributions()
    distance = (va_N2 - means[0]).square().sum(1).sqrt()
    shown = 0.45 + 0.55 * (distance / 0.72)
    calm = 1.1 - 0.8 * distance
    intensity = torch.where(expressions_N == EXPRESSIONS.index("neutral"), calm, shown)
    if expressivity_N is not None:
        intensity = intensity * expressivity_N
    intensity = intensity.clamp(0.15, 1.2)
    probs = rater_probabilities(expressions_N, va_N2, intensity, raters)
    return Affect(expressions_N, va_N2, intensity, probs)


def sample_affect(indices_N: Tensor, expressions_N: Tensor, seed: int, raters: RaterModel = DEFAULT_RATERS) -> Affect:
    """Draw the affect point of each sample from its expression's Gaussian, clipped to the unit square.

    A pure function of (seed, index, expression), independent of the batch.
    """
    draws = Draws(seed, "affect", indices_N)
    means, lower = class_distributions()
    noise = torch.stack([draws.bell("valence", 0, 1, 3.0), draws.bell("arousal", 0, 1, 3.0)], 1)
    factor = lower[expressions_N]
    offset = torch.stack([factor[:, 0, 0] * noise[:, 0], (factor[:, 1] * noise).sum(1)], 1)
    va = (means[expressions_N] + offset).clamp(-1, 1)
    return affect_at(expressions_N, va, draws.bell("expressivity", 0.82, 0.28), raters)
