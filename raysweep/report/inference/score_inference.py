"""`ScoreInference`: what is inferred of one score of one arm, beside the comparison with its reference."""

from __future__ import annotations

from dataclasses import dataclass

from .best import Standing
from .crossed import Crossed
from .effect import Effect, Improvement


@dataclass(frozen=True)
class ScoreInference:
    """None where there is nothing to infer from.

    `detectable`: difference from the reference that the table finds with probability 0.8, by the arm's own variance, in
    units of the score; headline score only. `standing`: against the best other arm; headline score only.
    `new_images`: the difference from the reference with replicates and test images random, simultaneous over the table
    for the headline score; `mean_new_images`: the same of the arm's mean, at 95 %. `why`: reason why these two lack.
    """

    effect: Effect | None = None
    improvement: Improvement | None = None
    detectable: float | None = None
    standing: Standing | None = None
    new_images: Crossed | None = None
    mean_new_images: Crossed | None = None
    why: str = ""


NOTHING = ScoreInference()
