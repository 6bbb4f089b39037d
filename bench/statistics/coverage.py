"""How often intervals hold the truth for new replicates and new test images, in simulated studies of two arms.

A model is right about an image where a sum of normal parts is above 0: of its class and arm, of the replicate (shared
by arms, and an arm's own), of the image (shared by all, and an arm's own) and of the run on the image. Its errors
prefer a class that the image resembles. Given the replicate's parts, confusion probabilities are known in closed form,
so the true scores are sums over classes, averaged over replicates by quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from raysweep.artifacts.predictions import ImagePredictions
from raysweep.report.inference.crossed import crossed
from raysweep.report.inference.image_scores import image_scores

IMAGES = 800
SCORES = ("accuracy", "macro_f1")
PRIORS = np.array([0.26, 0.20, 0.16, 0.12, 0.10, 0.07, 0.05, 0.04])
EASE = np.array([0.9, 1.4, 0.6, 0.8, 0.2, 0.1, 0.4, -0.1])
GAIN = 0.15
RESEMBLES = 0.6
"""Share of errors that go to the class that an image resembles."""


@dataclass(frozen=True)
class World:
    """Standard deviations of the parts: replicates (shared, own of an arm), images (shared, own of an arm); that of a
    run on an image is 1."""

    replicate: float
    replicate_own: float
    image: float
    image_own: float


WORLDS = {
    "accuracy varies by 1 point": World(0.04, 0.05, 1.5, 0.7),
    "accuracy varies by 2 points": World(0.08, 0.1, 1.5, 0.5),
    "accuracy varies by 4 points": World(0.15, 0.2, 1.5, 0.3),
}


@dataclass
class Held:
    """In how many studies the interval holds the truth: that for replicates and images, the same with Hillis's own
    degrees of freedom, and the t-interval over replicates."""

    both: int = 0
    hillis: int = 0
    replicates: int = 0


def count_held(world: World, n: int, studies: int, seed: int, images: int = IMAGES) -> dict[str, Held]:
    """Simulate studies with `n` replicates. Returns counts by "SCORE of an arm" and "SCORE difference"."""
    rng = np.random.default_rng([seed, n, list(WORLDS.values()).index(world)])
    truth = {score: [_truth(world, arm, score) for arm in (0, 1)] for score in SCORES}
    held = {f"{score} {what}": Held() for score in SCORES for what in ("of an arm", "difference")}
    for _ in range(studies):
        study = draw_study(world, n, images, rng)
        for score in SCORES:
            values = np.array([[image_scores(one, score) for one in arm] for arm in study])
            absent, there = truth[score]
            _count(held[f"{score} of an arm"], values[0], absent)
            _count(held[f"{score} difference"], values[1] - values[0], there - absent)
    return held


def draw_study(world: World, n: int, images: int, rng: np.random.Generator) -> list[list[ImagePredictions]]:
    """Predictions by arm and replicate."""
    k = len(PRIORS)
    labels = rng.choice(k, images, p=PRIORS)
    like = _another(labels, rng)
    image = world.image * rng.normal(size=images)
    replicate = world.replicate * rng.normal(size=(n, 1))
    study = []
    for arm in (0, 1):
        ease = EASE[labels] + GAIN * arm + image + world.image_own * rng.normal(size=images)
        parts = replicate + world.replicate_own * rng.normal(size=(n, 1)) + rng.normal(size=(n, images))
        chosen = np.where(rng.random((n, images)) < RESEMBLES, like, _another(np.tile(labels, (n, 1)), rng))
        predicted = np.where(ease + parts > 0, labels, chosen)
        study.append([_predictions(labels, row) for row in predicted])
    return study


def _count(held: Held, values: np.ndarray, truth: float) -> None:
    both, over = crossed(values), values.mean(1)
    if both is None:
        return
    n, by_replicates = len(over), over.std(ddof=1) / np.sqrt(len(over))
    hillis = (both.error / by_replicates) ** 4 * (n - 1)
    held.both += both.low <= truth <= both.high
    held.hillis += abs(both.mean - truth) <= stats.t.ppf(0.975, hillis) * both.error
    held.replicates += abs(both.mean - truth) <= stats.t.ppf(0.975, n - 1) * by_replicates


def _truth(world: World, arm: int, score: str) -> float:
    """Expected score on infinitely many images, over replicates."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = np.hypot(world.replicate, world.replicate_own)
    scale = np.sqrt(1 + world.image**2 + world.image_own**2)
    right_RK = stats.norm.cdf((EASE + GAIN * arm + spread * nodes[:, None]) / scale)
    hits_RK = PRIORS * right_RK
    errors_RK = PRIORS * (1 - right_RK)
    others = (errors_RK.sum(1, keepdims=True) - errors_RK) / (len(PRIORS) - 1)  # errors fall on all others alike
    by_replicate = hits_RK.sum(1) if score == "accuracy" else (2 * hits_RK / (PRIORS + hits_RK + others)).mean(1)
    return float(weights @ by_replicate / weights.sum())


def _another(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For every label another class, all alike."""
    return (labels + rng.integers(1, len(PRIORS), labels.shape)) % len(PRIORS)


def _predictions(labels: np.ndarray, predicted: np.ndarray) -> ImagePredictions:
    nothing = np.full((len(labels), 2), np.nan)
    return ImagePredictions(np.arange(len(labels)), np.eye(len(PRIORS))[predicted], nothing, labels, nothing)
