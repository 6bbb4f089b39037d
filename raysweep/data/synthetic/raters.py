"""People who look at a face and name its expression. N samples, K = 8 expressions, R raters."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, normal, uniform
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS

_STDS = (
    (0.15, 0.15),
    (0.17, 0.20),
    (0.18, 0.18),
    (0.22, 0.16),
    (0.18, 0.15),
    (0.15, 0.20),
    (0.18, 0.20),
    (0.16, 0.18),
)
_CORRELATIONS = (0.0, 0.3, 0.2, 0.1, -0.3, -0.4, -0.5, -0.3)

_CONFUSABLE = {
    ("neutral", "sadness"): 0.50,
    ("neutral", "contempt"): 0.25,
    ("neutral", "happiness"): 0.35,
    ("happiness", "neutral"): 0.45,
    ("happiness", "surprise"): 0.25,
    ("happiness", "contempt"): 0.25,
    ("sadness", "neutral"): 0.55,
    ("sadness", "fear"): 0.25,
    ("surprise", "fear"): 0.55,
    ("surprise", "happiness"): 0.30,
    ("fear", "surprise"): 0.60,
    ("fear", "sadness"): 0.30,
    ("disgust", "anger"): 0.60,
    ("disgust", "sadness"): 0.25,
    ("disgust", "contempt"): 0.25,
    ("anger", "disgust"): 0.55,
    ("anger", "contempt"): 0.15,
    ("contempt", "neutral"): 0.50,
    ("contempt", "disgust"): 0.35,
    ("contempt", "anger"): 0.25,
}


@dataclass(frozen=True)
class RaterModel:
    """How a population of raters turns the true affect into a named expression.

    `site` names them: votes of two sites are drawn independently. `temperature` divides the affect point's
    log-likelihood under each expression (higher: the point matters less); `evidence` is the weight of
    the expression's own muscles; `bias` is added to the logits (one number an expression, empty for
    none); `lapse` is the share of random answers; `va_std` is the noise of an annotated affect
    point. Sites differ in these values.

    Biases, none by default. Labels: the affect point va is seen at `affect_gain` * va + `affect_offset`,
    so class boundaries lie elsewhere. VA: the annotator moves the point by `halo` (0 to 1) towards
    AffectNet's mean of the expression this rater named, then writes `va_gain` times it + `va_offset`.
    """

    site: str = "home"
    count: int = 10
    temperature: float = 3.0
    evidence: float = 2.6
    bias: tuple[float, ...] = ()
    lapse: float = 0.02
    va_std: float = 0.08
    affect_offset: tuple[float, float] = (0.0, 0.0)
    affect_gain: float = 1.0
    va_offset: tuple[float, float] = (0.0, 0.0)
    va_gain: float = 1.0
    halo: float = 0.0

    def described(self) -> dict[str, object]:
        """The fields for a fingerprint; biases at their default are left out, so that older fingerprints stay valid."""
        biases = ("affect_offset", "affect_gain", "va_offset", "va_gain", "halo")
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if name not in biases or value != default}


def class_distributions() -> tuple[Tensor, Tensor]:
    """Gaussian of the affect point an expression: means (K, 2) around AffectNet's, Cholesky factors (K, 2, 2)."""
    std = torch.tensor(_STDS)
    corr = torch.tensor(_CORRELATIONS)
    lower = torch.zeros(len(EXPRESSIONS), 2, 2)
    lower[:, 0, 0] = std[:, 0]
    lower[:, 1, 0] = corr * std[:, 1]
    lower[:, 1, 1] = (1 - corr**2).sqrt() * std[:, 1]
    return torch.tensor(AFFECTNET_MEANS), lower


def class_log_likelihoods(va_N2: Tensor) -> Tensor:
    """log N(va; mean_k, Sigma_k) up to a constant, for every expression. Shape (N, K) float32."""
    means, lower = class_distributions()
    offset = va_N2[:, None, :] - means
    first = offset[..., 0] / lower[:, 0, 0]
    second = (offset[..., 1] - lower[:, 1, 0] * first) / lower[:, 1, 1]
    log_scale = (lower[:, 0, 0] * lower[:, 1, 1]).log()
    return -0.5 * (first**2 + second**2) - log_scale


def rater_probabilities(expressions_N: Tensor, va_N2: Tensor, clarity_N: Tensor, model: RaterModel) -> Tensor:
    """Probability that a rater names each expression. Shape (N, K) float32, rows sum to 1.

    softmax_k( log N(seen; k) / temperature + evidence * clarity * likeness[c, k] + bias_k ), then lapses;
    seen = affect_gain * va + affect_offset.
    """
    seen = model.affect_gain * va_N2 + torch.tensor(model.affect_offset)
    logits = class_log_likelihoods(seen) / model.temperature
    logits = logits + model.evidence * clarity_N[:, None] * _likeness()[expressions_N]
    if model.bias:
        logits = logits + torch.tensor(model.bias)
    return (1 - model.lapse) * logits.softmax(1) + model.lapse / len(EXPRESSIONS)


def cast_votes(probabilities_NK: Tensor, indices_N: Tensor, seed: int, model: RaterModel) -> tuple[Tensor, Tensor]:
    """Every rater names one expression.

    Returns:
        Shares of the votes (N, K) float32, and the first rater's answer (N,) int64.
    """
    edges = probabilities_NK.double().cumsum(1)
    votes = torch.zeros_like(probabilities_NK)
    answers = []
    for rater in range(model.count):
        draw = uniform(derive_key(seed, "faces", model.site, "rater", rater), indices_N)
        answer = (draw[:, None] >= edges[:, :-1]).sum(1)
        answers.append(answer)
        votes[torch.arange(len(answer)), answer] += 1
    return votes / model.count, answers[0]


def annotate_va(va_N2: Tensor, named_N: Tensor, indices_N: Tensor, seed: int, model: RaterModel) -> Tensor:
    """The affect point as an annotator who named `named_N` writes it down. Shape (N, 2) float32 in [-1, 1].

    va_gain * ((1 - halo) * va + halo * mean[named]) + va_offset + noise.
    """
    noise = [
        normal(derive_key(seed, "faces", model.site, "annotator", axis), indices_N) for axis in ("valence", "arousal")
    ]
    means, _ = class_distributions()
    seen = torch.lerp(va_N2, means[named_N], model.halo)
    written = model.va_gain * seen + torch.tensor(model.va_offset)
    return (written + model.va_std * torch.stack(noise, 1).float()).clamp(-1, 1)


def _likeness() -> Tensor:
    table = torch.eye(len(EXPRESSIONS))
    for (truth, seen), value in _CONFUSABLE.items():
        table[EXPRESSIONS.index(truth), EXPRESSIONS.index(seen)] = value
    return table
